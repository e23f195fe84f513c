"""Export tools: encoders into ONNX, catalogs into index generations."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
