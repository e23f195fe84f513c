"""Addresses within the console: where a login may lead."""

from __future__ import annotations

from urllib.parse import urlsplit


def local_path(target: str | None, otherwise: str = "/") -> str:
    """The target where it is a path of this console, else another: no login leads to another site.

    `//evil.example`, `/\\evil.example` and `https:evil.example` are other sites to a browser.
    """
    if not target or not target.startswith("/") or target.startswith("//"):
        return otherwise
    if "\\" in target or not target.isprintable():
        return otherwise
    try:
        parts = urlsplit(target)
    except ValueError:
        return otherwise
    return otherwise if parts.scheme or parts.netloc else target
