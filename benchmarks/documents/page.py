"""The page of results of `python -m benchmarks documents`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def page(result: Mapping[str, Any]) -> str:
    """The page, in Markdown."""
    machine, updates, kill = result["machine"], result["updates"], result["kill"]
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
    statuses = ", ".join(f"{count} {name}" for name, count in kill["statuses"].items())
    left_out = [f"- {one['engine']} with {one['passages']:,} passages: {one['why']}" for one in result["not_measured"]]
    parts = [
        "# Documents",
        f"Made by `python -m benchmarks documents --json …` on **{machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_gib']:.0f} GiB, {gpus}**; clients and engines on the same machine. Commit "
        f"{(result['code']['commit'] or 'unknown')[:10]}.",
        "## Engines",
        "One search is dense and BM25 (Milvus 2.3.5: dense, re-ranked by BM25), 50 passages each, without the encoder. "
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
        f"Killed under load: of {kill['requests']} requests {kill['failed']} failed, the slowest took "
        f"{kill['slowest']:.0f} ms with a deadline of {kill['deadline']} ms, {kill['changed']} had other services or "
        f"scores than before. Documents: {statuses}. They were back {kill['back']:.1f} s after the engine listened "
        "again.",
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
