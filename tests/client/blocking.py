"""One blocking interface to both clients, so that each test runs with both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from malgil import AsyncSearchClient, SearchClient


class Blocking:
    """An AsyncSearchClient with blocking methods, run in a private event loop."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._client = AsyncSearchClient(*args, **kwargs)  # before any loop runs, as at the import of a module
        self._loop = asyncio.new_event_loop()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: self._loop.run_until_complete(getattr(self._client, name)(*args, **kwargs))

    def leave(self) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.close()


@contextmanager
def open_client(mode: str, url: str, **kwargs: Any) -> Iterator[Any]:
    """A SearchClient ("sync") or an AsyncSearchClient ("async") with blocking methods."""
    if mode == "sync":
        with SearchClient(url, **kwargs) as client:
            yield client
        return
    blocking = Blocking(url, **kwargs)
    try:
        yield blocking
    finally:
        blocking.leave()
