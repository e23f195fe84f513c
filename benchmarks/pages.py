"""What pages of results share: the sentence that says how they were made, and the writing beside the figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def made_by(command: str, result: Mapping[str, Any], where: str) -> str:
    """The sentence on the command, the machine and the commit.

    Args:
        command: of `python -m benchmarks`.
        result: with `machine` and `code`, as benchmarks.machine has them.
        where: what ran on the machine, with the punctuation before it.
    """
    at = result["machine"]
    return (
        f"Made by `python -m benchmarks {command} --json …` on **{at['cpu']}, {at['cores']} cores, "
        f"{at['memory_gib']:.0f} GiB**{where}. Commit {(result['code']['commit'] or 'unknown')[:10]}."
    )


def write(file: Path | None, result: Mapping[str, Any], page: Callable[[Mapping[str, Any]], str]) -> None:
    """Write the figures into a JSON file, if one is asked for, and their page beside it, with the suffix .md."""
    if file is not None:
        file.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        file.with_suffix(".md").write_text(page(result), encoding="utf-8")
