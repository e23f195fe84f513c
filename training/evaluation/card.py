"""What the card of a trained encoder says about the amount of its training."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import tomllib

_ROWS = re.compile(r"^\| .+ \| ([\d,]+) \| ([\d,]+) \|$", re.MULTILINE)
_SETTINGS = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Trained:
    """What an encoder was trained on.

    Attributes:
        pairs: pairs and triplets that the training went through, each counted once; None where no card says.
        negatives: share of them with a hard negative; None where no card says.
    """

    pairs: int | None = None
    negatives: float | None = None


def read(directory: Path) -> Trained:
    """Read the README.md that `python -m training encoder` writes; any other says nothing."""
    file = directory / "README.md"
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    _, _, table = text.partition("| rows of | number | with a hard negative |\n")
    found = _SETTINGS.search(table)
    rows = [[int(cell.replace(",", "")) for cell in row] for row in _ROWS.findall(table.partition("\n\n")[0])]
    if not found or not rows:
        return Trained()
    try:
        settings = tomllib.loads(found[1])
        seen = int(settings["steps"]) * int(settings["batch_size"])
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError):
        return Trained()
    available, mined = (sum(column) for column in zip(*rows, strict=True))
    return Trained(min(seen, available), mined / available if available else 0.0)
