"""Training of encoders: fine-tuning with sentence-transformers, and evaluation of what came of it."""
