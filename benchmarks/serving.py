"""A server to measure: the one at an address, or one started for the measurement."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import malgil

from server.launcher import REPOSITORY, Server
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
    with tempfile.TemporaryDirectory(prefix="malgil-bench-") as folder, started(REPOSITORY, Path(folder)) as server:
        yield server.grpc_url


@contextlib.contextmanager
def started(repository: Path, folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server over a repository on free ports, once it is ready; its log is in `folder`.

    Args:
        repository: the model repository.
        folder: for the log.
        environment: more of Triton's variables.

    Raises:
        server.triton.SetupError: it could not start, or no catalog is published; the log is kept.
    """
    log = folder / f"triton-{repository.parent.name}.log"
    with log.open("wb") as stream, Server(repository, free_ports(), log=stream, environment=environment) as server:
        try:
            generation = server.wait_ready()
        except SetupError as error:
            kept = shutil.copy(log, Path(tempfile.gettempdir(), "malgil-triton-failed.log"))
            raise SetupError(f"{error}; {kept}") from None
        if generation is None:
            raise SetupError("the search does not answer: run `make export` first")
        yield server


class RestartableServer:
    """A server over one repository that can be started again. Use as a context manager."""

    def __init__(self, repository: Path, folder: Path) -> None:
        self._repository, self._folder = repository, folder
        self._stack = contextlib.ExitStack()
        self.url = ""

    def start(self) -> None:
        """Start it, after stopping the one that runs.

        Raises:
            server.triton.SetupError: it does not start; the text says where its log is.
        """
        self._stack.close()
        self.url = self._stack.enter_context(started(self._repository, self._folder)).grpc_url

    def __enter__(self) -> RestartableServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
