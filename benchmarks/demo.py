"""`python -m benchmarks demo`: a dozen queries that share no word with the service's name, typos included."""

from __future__ import annotations

import statistics
import time

import malgil
from rich.console import Console
from rich.table import Table

QUERIES = ("이번 달에 얼마 썼는지 궁금해",)


def show(url: str, console: Console) -> None:
    """Ask, and print a table of answers with their times."""
    table = Table("query", "first answer", "where", "score", "matched phrase", "ms", title="말길: what was meant")
    times = []
    with malgil.SearchClient(url) as client:
        client.search("준비")  # the first call opens the connection
        for query in QUERIES:
            started = time.perf_counter()
            result = client.search(query, top_k=1)
            times.append(1000 * (time.perf_counter() - started))
            for hit in result:
                ms = f"{times[-1]:.1f}"
                table.add_row(query, hit.name, hit.path, f"{hit.score:.3f}", hit.phrase, ms)
            if not result:
                table.add_row(query, "(nothing)", "", "", "", f"{times[-1]:.1f}")
    console.print(table)
    console.print(f"median {statistics.median(times):.1f} ms a query, one client, this machine")
