"""Passwords: argon2id with the defaults of argon2-cffi, as much work for unknown accounts as for known ones."""

from __future__ import annotations

import functools
import hashlib
import hmac
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_PASSWORD, MAX_PASSWORD = 10, 1024  # characters, bytes
MAX_NAME = 200  # bytes
_HASHER = PasswordHasher()


class PasswordError(ValueError):
    """A password that is not taken; the text says why, without the password."""


class AccountNameError(ValueError):
    """A name that no account can have; the text says why."""


def check_name(name: str) -> str:
    """The name, composed (NFC).

    Raises:
        AccountNameError: it is empty, too long, or has spaces around it or characters that cannot be seen.
    """
    name = unicodedata.normalize("NFC", name)
    if not 1 <= len(name.encode("utf-8", "replace")) <= MAX_NAME or name != name.strip() or not name.isprintable():
        raise AccountNameError(f"name: 1 to {MAX_NAME} bytes of visible characters, without spaces around them")
    return name


def hash_password(password: str) -> str:
    """The hash that is stored.

    Raises:
        PasswordError: it is too short or too long.
    """
    if len(password) < MIN_PASSWORD:
        raise PasswordError(f"password: at least {MIN_PASSWORD} characters are needed")
    if len(_bytes(password)) > MAX_PASSWORD:
        raise PasswordError(f"password: at most {MAX_PASSWORD} bytes are taken")
    return _HASHER.hash(_bytes(password))


def verify(password: str, stored: str | None) -> bool:
    """Whether the password is the one that was hashed; None (no such account, or no password) takes as long."""
    if len(_bytes(password)) > MAX_PASSWORD:
        return False
    try:
        return _HASHER.verify(stored or _of_nobody(), _bytes(password)) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def stamp(secret: str, password_hash: str) -> str:
    """What a session carries of the password's hash: another password makes another stamp, and ends the session."""
    return hmac.new(secret.encode(), password_hash.encode(), hashlib.sha256).hexdigest()[:32]


def _bytes(password: str) -> bytes:
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


@functools.cache
def _of_nobody() -> str:
    """A hash that no password has been given for."""
    import secrets

    return _HASHER.hash(secrets.token_bytes(32))
