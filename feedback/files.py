"""Files that appear whole or not at all, and folders that one command at a time changes."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
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


@contextmanager
def holding(file: Path, busy: str) -> Iterator[None]:
    """Hold the lock of a file, which is made if it is missing.

    Args:
        file: in a folder that is there.
        busy: the sentence for a user where somebody holds it.

    Raises:
        FeedbackError: somebody holds it.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise FeedbackError(busy) from None
    finally:
        os.close(descriptor)
