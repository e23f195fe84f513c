"""nginx before Triton's HTTP, which has no TLS: ends TLS, asks for client certificates, and bounds what comes in."""

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
from pathlib import Path
from string import Template
from typing import IO

from server.tls import Certificates
from server.triton import SetupError

START_SECONDS = 5.0
STOP_SECONDS = 5.0
RESTART_SECONDS = 1.0

# Bodies are kept in memory, whole: nothing that people type is written to a disk. Numbers in the 49x are nginx's own,
# which the client knows. A compressed body could be small here and of any size in Triton; one in chunks of one byte
# would fill the buffer with their heads.
CONFIG = Template("""\
daemon off;
pid nginx.pid;
error_log stderr warn;
worker_processes 1;
worker_rlimit_nofile 16384;
events { worker_connections 8192; }
http {
    access_log off;
    server_tokens off;
    default_type application/json;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;

    client_max_body_size $max_bytes;
    client_body_buffer_size $max_bytes;
    client_header_timeout 10s;
    client_body_timeout 10s;
    send_timeout 10s;
    keepalive_requests 100000;

    upstream triton {
        server 127.0.0.1:$inner;
        keepalive 256;
    }
    server {
        listen $host:$port ssl;
        ssl_certificate server.pem;
        ssl_certificate_key server.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:sessions:1m;
        $clients
        error_page 413 @large;
        error_page 495 496 =496 @certificate;
        error_page 497 =497 @plain;
        error_page 502 @gone;
        error_page 504 @late;
        location @large { return 413 '{"error":"the request is over $max_bytes bytes"}'; }
        location @certificate { return 496 '{"error":"TLS: the server asks for a client certificate that it trusts"}'; }
        location @plain { return 497 '{"error":"the server speaks TLS here: https://"}'; }
        location @gone { return 502 '{"error":"the server behind TLS does not answer"}'; }
        location @late { return 504 '{"error":"the server behind TLS did not answer within 60 s"}'; }
        if ($$http_content_encoding) { return 415 '{"error":"compressed requests are not taken"}'; }
        if ($$http_transfer_encoding) { return 411 '{"error":"requests must say their Content-Length"}'; }
        location / {
            proxy_pass http://triton;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_max_temp_file_size 0;
            proxy_read_timeout 60s;
        }
    }
}
""")


class Terminator:
    """A running nginx, started again should it end. `stop()` it.

    Args:
        certificates: what it shows, and asks for.
        host, port: where it listens.
        inner: Triton's HTTP port on loopback.
        max_bytes: the largest body of a request.
        scratch: an empty folder of its own.
        prefix: of the command, see launcher.end_with_parent.
        log: where its output goes; None shares this process's stderr.

    Raises:
        SetupError: there is no nginx, or it does not start.
    """

    def __init__(
        self,
        certificates: Certificates,
        host: str,
        port: int,
        inner: int,
        max_bytes: int,
        scratch: Path,
        prefix: list[str],
        log: IO[bytes] | None,
    ) -> None:
        binary = find_nginx()
        scratch.mkdir()
        # By links of fixed names no path needs quoting; nginx would take a $ in one for a variable.
        clients = ""
        links = {"server.pem": certificates.cert, "server.key": certificates.key}
        if certificates.client_ca:
            links["clients.pem"] = certificates.client_ca
            clients = "ssl_client_certificate clients.pem; ssl_verify_client on;"
        for name, path in links.items():
            (scratch / name).symlink_to(path.resolve())
        config = CONFIG.substitute(max_bytes=max_bytes, inner=inner, host=host, port=port, clients=clients)
        (scratch / "nginx.conf").write_text(config)
        self._command = [*prefix, binary, "-e", "stderr", "-p", str(scratch), "-c", str(scratch / "nginx.conf")]
        self._log = log
        self._stopping = threading.Event()
        self.process = self._start()
        try:
            self._wait_listening("127.0.0.1" if host == "0.0.0.0" else host, port)
        except BaseException:
            self._end()
            raise
        self._keeper = threading.Thread(target=self._keep, name="malgil-tls", daemon=True)
        self._keeper.start()

    def finish(self) -> None:
        """Let it answer what it has begun, take no more, and end. Does not wait."""
        self._stopping.set()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)

    def stop(self) -> None:
        """End it, within STOP_SECONDS."""
        self.finish()
        self._end()
        self._keeper.join()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, start_new_session=True
        )

    def _wait_listening(self, host: str, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise SetupError(f"nginx, which ends TLS for HTTP, ended with {self.process.returncode}: see its log")
            with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
                return
            time.sleep(0.02)
        raise SetupError(f"nginx, which ends TLS for HTTP, does not listen on {host}:{port}")

    def _keep(self) -> None:
        """Start it again whenever it ends unasked."""
        while True:
            code = self.process.wait()
            if self._stopping.is_set():
                return
            print(f"nginx, which ends TLS for HTTP, ended with {code}: starting it again", file=sys.stderr, flush=True)
            self._end()  # its workers, which would keep the port
            if self._stopping.wait(RESTART_SECONDS):
                return
            self.process = self._start()
            if self._stopping.is_set():  # finish() may have seen the one before
                self.process.send_signal(signal.SIGQUIT)

    def _end(self) -> None:
        if self._stopping.is_set():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


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
        raise SetupError("TLS for HTTP needs nginx: install the package nginx (1.20 or newer), or run `make setup`")
    return found
