"""The secret that signs sessions: made once, in a file that its owner alone can read."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path


class SecretError(Exception):
    """A secret that cannot be used; the text says why."""


def read_secret(file: Path) -> str:
    """The secret in a file, which is made where it is missing.

    Raises:
        SecretError: others can read the file, or it is too short.
        OSError: it cannot be read or made.
    """
    try:
        # Written under another name and linked: a second console that starts meanwhile never reads half of it.
        if not file.exists():
            _make(file)
        mode = stat.S_IMODE(file.stat().st_mode)
        secret = file.read_text(encoding="ascii").strip()
    except UnicodeDecodeError:
        raise SecretError(f"{file}: not a secret of the console: remove it, and a new one is made") from None
    if mode & 0o077:
        raise SecretError(f"{file}: mode {mode:04o}: others must not read it (chmod 600)")
    if len(secret) < 32:
        raise SecretError(f"{file}: {len(secret)} characters: at least 32 are needed; remove it, and a new one is made")
    return secret


def _make(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as opened:
            opened.write(secrets.token_urlsafe(48) + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        with contextlib.suppress(FileExistsError):  # another console was first: its secret counts
            os.link(beside, file)
    finally:
        beside.unlink()
