"""Keyed hashes: of a person, for events, and numbers drawn for experiments.

All are HMAC-SHA256 over text that begins with what it is for, so that one key may serve several uses. Without the key
nobody can tell whose hash one is, not even by trying every id.
"""

from __future__ import annotations

import hashlib
import hmac

_DAY_MS = 24 * 60 * 60 * 1000
_LEAST = 16  # bytes: a shorter key could be found by trying


def check_secret(field: str, key: bytes) -> bytes:
    """The given key; TypeError or ValueError unless it is bytes of a safe length. No message contains it."""
    if not isinstance(key, bytes):
        raise TypeError(f"{field} must be bytes, not {type(key).__name__}")
    if len(key) < _LEAST:
        raise ValueError(f"{field}: {len(key)} bytes are below {_LEAST}; make one with secrets.token_bytes(32)")
    return key


def check_person(person: str | None) -> str:
    """The given person, "" for None; TypeError unless it is text."""
    if person is not None and not isinstance(person, str):
        raise TypeError(f"person must be str, not {type(person).__name__}")
    return person or ""


def person_hash(key: bytes, person: str, at_ms: int, rotation_days: int) -> str:
    """The name of a person in events, 32 hex digits: another one in each period of `rotation_days` since 1970.

    Events of one period can be counted by person; those of two cannot be told to be of the same person.
    """
    period = at_ms // (_DAY_MS * rotation_days)
    return _digest(key, f"malgil:person:{period}:{person}")[:16].hex()


def uniform(key: bytes, text: str) -> float:
    """A number above 0 and below 1 for the text, always the same; uniform over texts."""
    return (seed(key, text) % 2**52 + 0.5) / 2**52


def seed(key: bytes, text: str) -> int:
    """A number of 256 bits for the text, always the same."""
    return int.from_bytes(_digest(key, text), "big")


def _digest(key: bytes, text: str) -> bytes:
    # Half an emoji cannot be searched for, but it may stand in an id, which must not fail a search.
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
