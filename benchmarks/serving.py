"""A server to measure: the one at an address, or one of our own."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import malgil

from server.launcher import Server
from server.ports import free_ports
from server.triton import SetupError


@contextlib.contextmanager
def serving(url: str | None) -> Iterator[str]:
    """The gRPC address of a server that answers searches.

    Args:
        url: HOST:PORT of a running server, or None to start one on free ports for as long as this lasts.

    Raises:
        server.triton.SetupError: it could not start; Triton's log is kept, and the text says where.
        malgil.MalgilError: the server at `url` does not answer.
    """
    if url is not None:
        with malgil.SearchClient(url) as client:
            client.generation()
        yield url
        return
    with tempfile.NamedTemporaryFile(prefix="malgil-triton-", suffix=".log") as log, contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(ports=free_ports(), log=log))
        try:
            server.wait_ready()
        except SetupError as error:
            kept = Path(tempfile.gettempdir(), "malgil-triton-failed.log")
            shutil.copy(log.name, kept)
            raise SetupError(f"{error}; {kept}") from None
        yield server.grpc_url
