"""Measurements of quality and speed, of a Malgil server and of the usual alternatives."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
CATALOG = ROOT / "catalogs" / "finance.jsonl"
NULL_TOPICS = ROOT / "catalogs" / "null_topics.jsonl"
QUERIES = ROOT / "catalogs" / "finance_queries.jsonl"  # labelled by hand
SLIPS = ROOT / "catalogs" / "finance_slips.jsonl"  # the same, as people mistype them
RESULTS = ROOT / "benchmarks" / "results"
