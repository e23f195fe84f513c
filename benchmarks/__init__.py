"""Quality and speed of a search, and of what one would run instead."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
CATALOG = ROOT / "catalogs" / "finance.jsonl"
QUERIES = ROOT / "catalogs" / "finance_queries.jsonl"  # labelled by hand
SLIPS = ROOT / "catalogs" / "finance_slips.jsonl"  # the same, as people mistype them
RESULTS = ROOT / "benchmarks" / "results"
