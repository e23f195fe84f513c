"""A Milvus server of PyPI's package `milvus`, for as long as a context lasts."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.documents import namespaced
from server.triton import SetupError

START_SECONDS = 120.0


@contextmanager
def milvus(folder: Path) -> Iterator[tuple[str, int]]:
    """The address of a Milvus server in a network namespace of its own, and the pid that it runs below.

    Args:
        folder: for its data.

    Raises:
        SetupError: this machine allows no network namespace.
    """
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        raise SetupError("a Milvus server needs unshare and ip, for a network namespace")
    unshare = ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
        raise SetupError("a Milvus server needs a network namespace, which is not allowed here")
    path = str(folder / "socket")
    command = [*unshare, sys.executable, namespaced.__file__, str(folder / "data"), path]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        deadline = time.monotonic() + START_SECONDS
        while not Path(path).exists():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise SetupError("the Milvus server does not start")
            time.sleep(0.2)

        def connect() -> socket.socket:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(path)
            return connection

        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=namespaced.relay, args=(listener, connect), daemon=True).start()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", process.pid
        process.communicate()  # closes its standard input, upon which it stops
