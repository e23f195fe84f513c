"""A milvus-lite of a command's own, in a temporary folder, for as long as a context lasts."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from documents.engine import EngineError
from server import processes
from server.documents import STOP_SECONDS, milvus_lite

START_SECONDS = 60.0


@contextmanager
def embedded(folder: str | None = None) -> Iterator[str]:
    """The address of an engine that listens on loopback alone, with its files in `folder`, or in a temporary one.

    Raises:
        EngineError: it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="malgil-documents-") as own, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        command, variables = milvus_lite(Path(folder or own), port)
        with Path(os.devnull).open("wb") as nowhere:
            process = processes.start(command, variables, nowhere)
        try:
            _wait(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            processes.stop(process, STOP_SECONDS)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise EngineError("milvus-lite does not start: is the package milvus-lite installed?")
