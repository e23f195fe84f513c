"""Quality and speed of a search, and of what one would run instead."""

from export import ROOT

CATALOG = ROOT / "catalogs" / "finance.jsonl"
QUERIES = ROOT / "catalogs" / "finance_queries.jsonl"  # labelled by hand
SLIPS = ROOT / "catalogs" / "finance_slips.jsonl"  # the same, as people mistype them
RESULTS = ROOT / "benchmarks" / "results"
