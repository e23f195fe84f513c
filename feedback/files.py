"""Files that appear whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from feedback.errors import FeedbackError


def write_text(path: Path, text: str) -> None:
    """Write a file.

    Raises:
        FeedbackError: its folder is not there.
    """
    if not path.absolute().parent.is_dir():
        raise FeedbackError(f"{path}: {path.parent} is not a folder: make it first")
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def write_lines(path: Path, values: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON Lines; raises as `write_text`."""
    write_text(path, "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values))
