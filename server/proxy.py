"""The proxy: an nginx before Triton, which does not bound what comes in, and has no TLS over HTTP."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import IO

from server import exposure, processes
from server.exposure import Exposure
from server.ports import Ports
from server.triton import SetupError

START_SECONDS = 5.0
STOP_SECONDS = 5.0
RESTART_SECONDS = 1.0

# The largest batch of the longest texts, 64 × 8 KiB, twice over for JSON's escapes, and room.
MAX_BYTES = 2 * 2**20
MAX_REQUESTS = 1024  # under way at once: their bodies are 2 GiB at most

_TLS = """
    ssl_certificate server.pem;
    ssl_certificate_key server.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:sessions:1m;
"""
_CLIENT_CERTIFICATES = """\
    ssl_client_certificate clients.pem;
    ssl_verify_client on;
"""


class _Template(Template):
    """nginx's own variables begin with a $."""

    delimiter = "%"


class Proxy:
    """An nginx before Triton, started again should it end. `start()` and `stop()` it, once.

    Args:
        access: where it listens, whether it stands before gRPC as well, what certificates it shows and asks for.
        ports: what it listens on.
        inner: Triton's own ports, on loopback.
        folder: where its files go; it must not exist yet.
        log: where its output goes; None shares this process's stderr.
    """

    def __init__(self, access: Exposure, ports: Ports, inner: Ports, folder: Path, log: IO[bytes] | None) -> None:
        self._access, self._ports, self._inner = access, ports, inner
        self._folder, self._log = folder, log
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: threading.Thread | None = None

    def start(self) -> None:
        """Start nginx and wait until it listens.

        Raises:
            SetupError: there is no nginx, or it does not start.
        """
        binary = find_nginx()
        self._write_config()
        self._command = [binary, "-e", "stderr", "-p", str(self._folder), "-c", str(self._folder / "nginx.conf")]
        process = self._process = processes.start(self._command, None, self._log)
        try:
            self._wait_listening(process)
        except BaseException:
            self._stopping.set()
            processes.kill_group(process)
            raise
        self._watcher = threading.Thread(target=self._watch, args=(process,), name="malgil-proxy", daemon=True)
        self._watcher.start()

    def finish(self) -> None:
        """Let it answer the requests that it has begun, take no more, and end. Does not wait."""
        self._stopping.set()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)

    def stop(self) -> None:
        """Stop it, within STOP_SECONDS."""
        self.finish()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
            processes.kill_group(self._process)
        if self._watcher is not None:
            self._watcher.join()

    def _write_config(self) -> None:
        self._folder.mkdir()
        values = {
            "host": self._access.listen,
            "http": self._ports.http,
            "grpc": self._ports.grpc,
            "inner_http": self._inner.http,
            "inner_grpc": self._inner.grpc,
            "ssl": " ssl" if self._access.certificates else "",
            "tls": self._tls(),
            "max_bytes": MAX_BYTES,
            "buffer_bytes": MAX_BYTES + 2**16,  # a body that fills its buffer would go to a file
            "max_requests": MAX_REQUESTS,
            "connection_age": f"{exposure.CONNECTION_AGE_MS}ms",
        }
        grpc = _read("nginx-grpc.conf", values) if self._access.proxies_grpc else ""
        (self._folder / "nginx.conf").write_text(_read("nginx.conf", {**values, "grpc_server": grpc}))

    def _tls(self) -> str:
        """The directives of TLS, by links to its files beside the config."""
        certificates = self._access.certificates
        if certificates is None:
            return ""
        # By links of fixed names no path needs quoting; nginx would take a $ in one for a variable.
        links = {"server.pem": certificates.cert, "server.key": certificates.key}
        if certificates.client_ca:
            links["clients.pem"] = certificates.client_ca
        for name, path in links.items():
            (self._folder / name).symlink_to(path.resolve())
        return _TLS + (_CLIENT_CERTIFICATES if certificates.client_ca else "")

    def _wait_listening(self, process: subprocess.Popen[bytes]) -> None:
        host = "127.0.0.1" if self._access.listen == "0.0.0.0" else self._access.listen
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise SetupError(f"nginx, the proxy, ended with {process.returncode}: see its log")
            with contextlib.suppress(OSError), socket.create_connection((host, self._ports.http), timeout=1):
                return
            time.sleep(0.02)
        raise SetupError(f"nginx, the proxy, does not listen on {host}:{self._ports.http}")

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Start it again whenever it ends before `finish()`."""
        while True:
            code = process.wait()
            if self._stopping.is_set():
                return
            print(f"nginx, the proxy, ended with {code}: starting it again", file=sys.stderr, flush=True)
            processes.kill_group(process)  # its workers, which would keep the port
            if self._stopping.wait(RESTART_SECONDS):
                return
            process = self._process = processes.start(self._command, None, self._log)
            if self._stopping.is_set():  # finish() may have seen the one before
                processes.kill_group(process)
                return


def find_nginx() -> str:
    """The system's nginx, or the one that server/install.sh has unpacked.

    Raises:
        SetupError: there is neither.
    """
    unpacked = Path(sys.prefix) / "nginx"
    found = shutil.which(
        "nginx", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", str(unpacked)])
    )
    if found is None:
        raise SetupError("the proxy needs nginx: install the package nginx (1.20 or newer), or run `make setup`")
    return found


def _read(name: str, values: Mapping[str, object]) -> str:
    return _Template(Path(__file__).with_name(name).read_text(encoding="utf-8")).substitute(values)
