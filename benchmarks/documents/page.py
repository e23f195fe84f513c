"""The page of results of `python -m benchmarks documents`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def page(result: Mapping[str, Any]) -> str:
    """The page, in Markdown."""
    machine, updates = result["machine"], result["updates"]
    gpus = ", ".join(machine["gpus"]) or "no GPU"
    engines = [
        [
            one["engine"], f"{one['passages']:,}", _number(one["ingest"]), str(one["searches"]), f"{one['p50']:.1f}",
            f"{one['p99']:.1f}", _number(one["rate"]), _number(one["memory"]),
            "" if one["fresh"] is None else f"{one['fresh']:.2f}",
        ]
        for one in result["engines"]
    ]  # fmt: skip
    loads = [
        [
            one["engine"], str(one["clients"]), one["model"], f"{one['p50']:.1f}", f"{one['p99']:.1f}",
            _number(one["rate"]), ", ".join(f"{count} {name}" for name, count in one["statuses"].items() if count),
        ]
        for one in result["loads"]
    ]  # fmt: skip
    kills = [
        [
            str(one["requests"]), str(one["failed"]), str(one["changed"]), f"{one['slowest']:.0f}",
            f"{one['back']:.1f}", ", ".join(f"{count} {name}" for name, count in one["statuses"].items()),
        ]
        for one in result["kills"]
    ]  # fmt: skip
    left_out = [f"- {one['engine']} with {one['passages']:,} passages: {one['why']}" for one in result["not_measured"]]
    parts = [
        "# Documents",
        f"Made by `python -m benchmarks documents --json …` on **{machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_gib']:.0f} GiB, {gpus}**; clients and engines on the same machine. Commit "
        f"{(result['code']['commit'] or 'unknown')[:10]}.",
        "## Engines",
        "One search is dense, 50 passages, and BM25, 20 (Milvus 2.3.5: re-ranks the 50), without the encoder. "
        "NumPy is the dense half alone, exact. Searches are those timed, fewer where 200 took over half a minute. "
        "Fresh: from the start of an update of one document, its connection and lease included, until a search "
        "that begins after it finds it, the longest of five. FLAT indexes, vectors of 384 numbers.",
        _table(
            ["engine", "passages", "ingest, passages/s", "searches", "p50, ms", "p99, ms", "searches/s, batches of 16",
             "MiB", "fresh, s"], engines,
        ),
        *(["Not measured:\n\n" + "\n".join(left_out)] if left_out else []),
        "## Updates under load",
        f"{updates['updates']} documents of a milvus-lite were replaced in {updates['seconds']:.0f} s while two "
        f"threads searched for them: of {updates['searches']} searches {updates['missing']} missed the document, and "
        f"{updates['torn']} saw half of a new version; {updates['lost']} updates were lost.",
        "## Services beside documents",
        "The sample's articles in milvus-lite, labelled questions, a deadline of 150 ms. Slow: each answer of the "
        "engine comes a second late. Down: it takes no connection.",
        _table(["engine", "clients", "model", "p50, ms", "p99, ms", "requests/s", "documents' answers"], loads),
        "## Killed under load",
        "The engine is killed and started again while clients search without a pause, with a deadline of "
        f"{result['kills'][0]['deadline']} ms. Changed: answers with other services or scores than before. Back: from "
        "when the engine listens again until the first answer with documents.",
        _table(["requests", "failed", "changed", "slowest, ms", "back, s", "documents' answers"], kills),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
