"""The page of a comparison's JSON file, made from that file alone."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.compare.ratios import short

Entry = dict[str, Any]
EXPLAINED = {
    "a": "The whole search under 256 clients, over the same work (lexical matches and null phrases included) in one "
    "process at its best batch and thread count.",
    "b": "The same server with dynamic batching and without. Not measured any more; that commit has its code.",
    "c": "Requests of mixed lengths: packed and ragged, over the other ways in Triton, and over the ceiling "
    "that sorting by length in one process gives.",
    "d": "One client's p50 over the sum of tokenize, encode and score in one process. Lower is better.",
    "e": "Exact top-10 with services, thresholds and surfaces, over the bare matrix product. Lower is better.",
    "f": "The whole search over sentence-transformers behind FastAPI.",
    "g": "The drop-in ONNX Runtime backend over its own session in process. Not measured any more.",
    "h": "The bundled encoder in int8 over fp32.",
    "j": "Embeddings of labelled queries over Infinity with the same weights, both asked over HTTP.",
}


def page(entries: Sequence[Entry]) -> str:
    """The page in Markdown.

    Args:
        entries: what `--json` wrote, at least one.
    """
    machine = entries[0]["machine"]
    gpus = ", ".join(machine["gpus"]) or "no GPU"
    parts = [
        "# Ratios to ceilings and alternatives",
        f"Made by `python -m benchmarks compare --json …` on **{machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_gib']:.0f} GiB, {gpus}**; clients on the same machine. "
        f"Commit {_commits(entries)}. Both sides of a ratio are measured in turns; it is the "
        "median of the runs' ratios, beside the lowest and the highest.",
    ]
    for letter in dict.fromkeys(entry["id"] for entry in entries):
        rows = [
            ["comparison", "ratio", "lowest…highest", "target", "", "ours", "other", "runs"],
            ["---", *["---:"] * 3, "---", *["---:"] * 3],
        ]
        rows += [_row(entry) for entry in entries if entry["id"] == letter]
        parts += [
            f"**{letter}.** {EXPLAINED[letter]}",
            "\n".join(f"| {' | '.join(row)} |" for row in rows),
        ]
    return "\n\n".join(parts) + "\n"


def _commits(entries: Sequence[Entry]) -> str:
    """The commit, or those of each letter."""
    letters: dict[str, list[str]] = {}
    for entry in entries:
        code = entry["code"]
        shown = f"{(code['commit'] or 'unknown')[:10]}{' with changes' if code['dirty'] else ''}"
        measured = letters.setdefault(shown, [])
        measured += [entry["id"]] if entry["id"] not in measured else []
    if len(letters) == 1:
        return next(iter(letters))
    return ", ".join(f"{commit} ({', '.join(measured)})" for commit, measured in letters.items())


def _row(entry: Entry) -> list[str]:
    sign = "≤" if entry["better"] == "lower" else "≥"
    target = "" if entry["target"] is None else f"{sign} {entry['target']:g}"
    verdict = {None: "", True: "met", False: "**missed**"}[entry["met"]]
    ours, other = (f"{short(statistics.median(entry[side]))} {entry['unit']}" for side in ("ours", "other"))
    spread = f"{short(entry['low'])}…{short(entry['high'])}"
    return [entry["name"], f"**{short(entry['ratio'])}**", spread, target, verdict, ours, other, str(entry["runs"])]
