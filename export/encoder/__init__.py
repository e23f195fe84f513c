"""Export of an encoder: from a sentence-transformers directory to model.onnx."""
