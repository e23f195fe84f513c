"""The four ways to ask, behind one face: what holds for one client and protocol must hold for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from malgil import AsyncSearchClient, SearchClient


class Blocking:
    """An AsyncSearchClient whose methods are run to their end in a loop of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._client = AsyncSearchClient(*args, **kwargs)  # before any loop runs, as modules do
        self._loop = asyncio.new_event_loop()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: self._loop.run_until_complete(getattr(self._client, name)(*args, **kwargs))

    def leave(self) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.close()


@contextmanager
def open_client(mode: str, url: str, **kwargs: Any) -> Iterator[Any]:
    """A client of the mode, "sync" or "async", whose methods block."""
    if mode == "sync":
        with SearchClient(url, **kwargs) as client:
            yield client
        return
    blocking = Blocking(url, **kwargs)
    try:
        yield blocking
    finally:
        blocking.leave()
