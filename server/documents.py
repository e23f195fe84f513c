"""The vector engine of documents: a milvus-lite beside Triton, or one that runs elsewhere."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import grpc

from server import processes
from server.triton import SetupError

HOST = "127.0.0.1"
PORT = 19530
START_SECONDS = 60.0
STOP_SECONDS = 10.0
CHECK_SECONDS = 5.0
CONNECT_SECONDS = 2.0
UNREACHABLE_CHECKS = 6  # in a row, half a minute: then it hangs
LONGEST_PAUSE = 30.0  # seconds between two starts
HEALTHY_SECONDS = 60.0  # after so long, the next failure counts as a first one


@dataclass(frozen=True)
class Access:
    """How Triton reaches an engine.

    Attributes:
        uri: http://HOST:PORT or https://HOST:PORT; empty: no documents.
        token: USER:PASSWORD, or a key.
        ca: certificates that the engine's is checked with.
    """

    uri: str = ""
    token: str = ""
    ca: Path | None = None

    def __post_init__(self) -> None:
        with contextlib.suppress(ValueError):
            address = urlsplit(self.uri)
            if not self.uri or (address.scheme in ("http", "https") and address.hostname and address.port):
                return
        raise SetupError(f"--documents is {self.uri[:80]!r}: it must be http://HOST:PORT or https://HOST:PORT")

    @property
    def environment(self) -> dict[str, str]:
        """Triton's variables."""
        return {
            "MALGIL_DOCUMENTS": self.uri,
            "MALGIL_DOCUMENTS_TOKEN": self.token,
            "MALGIL_DOCUMENTS_CA": str(self.ca.resolve()) if self.ca else "",
        }


def milvus_lite(folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """The command that runs a milvus-lite on loopback, and its variables.

    NumPy's and FAISS' threads spin when they have nothing to do: with two of them a search took twice as much of the
    processors as with one, and no less time.
    """
    command = [sys.executable, "-m", "milvus_lite", "server", "--host", HOST, "--port", str(port)]
    return [*command, "--data-dir", str(folder)], os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


class Engine:
    """A milvus-lite on loopback, started again should it end or hang. `start()` and `stop()` it, once.

    Args:
        folder: where its data is; made if it is not there.
        port: where it listens.
        log: called with a sentence for each restart.
    """

    def __init__(self, folder: Path, port: int, log: Callable[[str], None]) -> None:
        self.access = Access(f"http://{HOST}:{port}")
        self._folder, self._port, self._log = folder, port, log
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: threading.Thread | None = None

    def start(self) -> None:
        """Start it, and wait until it listens.

        Raises:
            SetupError: it cannot start as things are.
        """
        if importlib.util.find_spec("milvus_lite") is None:
            raise SetupError("--documents needs the package milvus-lite: run `make setup`, or give an engine's URI")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(f"--documents-folder {self._folder}: {error.strerror}") from None
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, self._port))
            except OSError as error:
                raise SetupError(
                    f"documents port {self._port} on {HOST}: {error.strerror}; give --free-ports, or --documents URI"
                ) from None
        process = self._process = self._spawn()
        try:
            self._wait_listening(process)
        except BaseException:
            self._stopping.set()
            processes.kill_group(process)
            raise
        self._watcher = threading.Thread(target=self._watch, args=(process,), name="malgil-documents", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Stop it, and kill it after STOP_SECONDS."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()  # it may be starting the next one
        if self._process is not None:
            processes.stop(self._process, STOP_SECONDS)

    def _spawn(self) -> subprocess.Popen[bytes]:
        command, variables = milvus_lite(self._folder, self._port)
        with os.fdopen(os.dup(2), "wb") as log:  # what it prints does not belong on standard output
            return processes.start(command, variables, log)

    def _wait_listening(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise SetupError(
                    f"milvus-lite, the engine of documents, ended with {process.returncode}: see its log; is "
                    f"{self._folder} in use by another one?"
                )
            if self.is_answering():
                return
            time.sleep(0.05)
        raise SetupError(f"milvus-lite, the engine of documents, does not listen within {START_SECONDS:.0f} s")

    def is_answering(self) -> bool:
        """Whether it takes a gRPC connection: the kernel takes a TCP connection even for a process that hangs."""
        with grpc.insecure_channel(
            f"{HOST}:{self._port}", [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            try:
                grpc.channel_ready_future(channel).result(CONNECT_SECONDS)
            except grpc.FutureTimeoutError:
                return False
        return True

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Start it again whenever it ends or hangs before `stop()`, after growing pauses."""
        failures = 0
        while True:
            began = time.monotonic()
            cause = self._failure(process)
            if cause is None:
                return
            failures = 1 if time.monotonic() - began >= HEALTHY_SECONDS else failures + 1
            pause = min(2.0 ** (failures - 2), LONGEST_PAUSE) if failures > 1 else 0.0
            self._log(f"milvus-lite, the engine of documents, {cause}: starting it again in {pause:.0f} s")
            processes.kill_group(process)
            while True:
                if self._stopping.wait(pause):
                    return
                try:
                    process = self._process = self._spawn()  # by this thread, which lasts as long: see stop_with_parent
                    break
                except OSError as error:
                    failures += 1
                    pause = min(2.0 ** (failures - 2), LONGEST_PAUSE)
                    self._log(
                        f"milvus-lite, the engine of documents, cannot be started: {error.strerror}: trying again in "
                        f"{pause:.0f} s"
                    )

    def _failure(self, process: subprocess.Popen[bytes]) -> str | None:
        """Wait until it ends or hangs: how; None once `stop()` is called."""
        missed, checked = 0, time.monotonic()
        while not self._stopping.wait(0.2):
            if process.poll() is not None:
                return f"ended with {process.returncode}"
            if time.monotonic() - checked >= CHECK_SECONDS:
                missed = 0 if self.is_answering() else missed + 1
                checked = time.monotonic()
                if missed >= UNREACHABLE_CHECKS:
                    return "takes no connection"
        return None
