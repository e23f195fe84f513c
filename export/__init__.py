"""Fills the model repository: encoders into ONNX, catalogues into index generations."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# The very modules that serve also tokenize, check and read here; each model's folder is self-contained.
sys.path += [str(ROOT / "model_repository" / model) for model in ("tokenizer", "scorer")]
