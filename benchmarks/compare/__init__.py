"""`python -m benchmarks compare`: ratios to ceilings, and to what one would run instead, measured in turns.

Each comparison has `compare(bench) -> list[Ratio]`; run.py runs them, ratios.py holds what they find.
"""

# For --help, and for whoever looks for a file here.
COMPARISONS = """\
comparisons:
  a  ensemble.py    the search ensemble against the same work in one process
  b  batching.py    dynamic batching on against off
  c  lengths.py     mixed lengths: packed and ragged against three ways of padding, and a length-sorted ceiling
  d  latency.py     one client's median against tokenize + encode + score
  e  scores.py      scoring against the bare matrix product, and its growth
  f  framework.py   against sentence-transformers behind FastAPI
  g  backend.py     the drop-in onnxruntime backend against its own session in process
  h  precisions.py  the bundled encoder in int8 against fp32
  i  letters.py     letters read beside the meaning against the meaning alone
"""
