"""The HTTP proxy: an nginx, because Triton's HTTP has no TLS and does not bound what comes in."""

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

from server import processes
from server.tls import Certificates
from server.triton import SetupError

START_SECONDS = 5.0
STOP_SECONDS = 5.0
RESTART_SECONDS = 1.0

# The largest batch of the longest texts, 64 × 8 KiB, twice over for JSON's escapes, and room.
MAX_BYTES = 2 * 2**20
MAX_REQUESTS = 1024  # under way at once: their bodies are 2 GiB at most

# Bodies are kept in memory, whole: nothing that people type is written to a disk. Numbers in the 49x are nginx's own,
# which the client knows. A compressed body could be small here and of any size in Triton; one in chunks of one byte
# would fill the buffer with their heads. Encoder and scorer take tensors of any shape, and some shapes that Triton lets
# through end their processes; a search reaches them with shapes that Triton has made itself.
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
    limit_conn_zone $$server_port zone=requests:32k;

    upstream triton {
        server 127.0.0.1:$inner;
        keepalive 256;
    }
    server {
        listen $host:$port$tls
        limit_conn requests $max_requests;
        limit_conn_status 503;
        limit_conn_log_level info;
        error_page 413 @large;
        error_page 502 @gone;
        error_page 503 @full;
        error_page 504 @late;
        location @large { return 413 '{"error":"the request is over $max_bytes bytes"}'; }
        location @gone { return 502 '{"error":"Triton does not answer the HTTP proxy"}'; }
        location @full { return 503 '{"error":"overloaded: $max_requests requests are under way; try again later"}'; }
        location @late { return 504 '{"error":"Triton did not answer the HTTP proxy within 60 s"}'; }
        if ($$http_content_encoding) { return 415 '{"error":"compressed requests are not taken"}'; }
        if ($$http_transfer_encoding) { return 411 '{"error":"requests must say their Content-Length"}'; }
        location / {
            proxy_pass http://triton/;  # with a URI: Triton gets the path as nginx has read it
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_max_temp_file_size 0;
            proxy_read_timeout 60s;
        }
        location ~ ^/v2/models/(?<step>encoder|scorer)/ {
            if ($$request_method !~ "^(GET|HEAD)$$") {
                return 403 '{"error":"$$step is not called over HTTP: call search or embed"}';
            }
            proxy_pass http://triton;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
""")
TLS = """ ssl;
        ssl_certificate server.pem;
        ssl_certificate_key server.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:sessions:1m;
        error_page 495 496 =496 @certificate;
        error_page 497 =497 @plain;
        location @certificate { return 496 '{"error":"TLS: the server asks for a client certificate that it trusts"}'; }
        location @plain { return 497 '{"error":"the server speaks TLS here: https://"}'; }
"""
CLIENT_CERTIFICATES = """\
        ssl_client_certificate clients.pem;
        ssl_verify_client on;
"""


class HttpProxy:
    """An nginx before Triton's HTTP, started again should it end. `start()` and `stop()` it, once.

    Args:
        host, port: where it listens.
        inner: Triton's HTTP port on loopback.
        certificates: what it shows to clients, and asks of them; None: no TLS.
        folder: where its files go; it must not exist yet.
        log: where its output goes; None shares this process's stderr.
    """

    def __init__(
        self,
        host: str,
        port: int,
        inner: int,
        certificates: Certificates | None,
        folder: Path,
        log: IO[bytes] | None,
    ) -> None:
        self._host, self._port, self._inner, self._certificates = host, port, inner, certificates
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
        self._watcher = threading.Thread(target=self._watch, args=(process,), name="malgil-http-proxy", daemon=True)
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
        config = CONFIG.substitute(
            host=self._host,
            port=self._port,
            inner=self._inner,
            tls=self._tls(),
            max_bytes=MAX_BYTES,
            max_requests=MAX_REQUESTS,
        )
        (self._folder / "nginx.conf").write_text(config)

    def _tls(self) -> str:
        """What follows `listen ADDRESS`: the directives of TLS, by links to its files beside the config."""
        if self._certificates is None:
            return ";"
        # By links of fixed names no path needs quoting; nginx would take a $ in one for a variable.
        links = {"server.pem": self._certificates.cert, "server.key": self._certificates.key}
        if self._certificates.client_ca:
            links["clients.pem"] = self._certificates.client_ca
        for name, path in links.items():
            (self._folder / name).symlink_to(path.resolve())
        return TLS + (CLIENT_CERTIFICATES if self._certificates.client_ca else "")

    def _wait_listening(self, process: subprocess.Popen[bytes]) -> None:
        host = "127.0.0.1" if self._host == "0.0.0.0" else self._host
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise SetupError(f"nginx, the HTTP proxy, ended with {process.returncode}: see its log")
            with contextlib.suppress(OSError), socket.create_connection((host, self._port), timeout=1):
                return
            time.sleep(0.02)
        raise SetupError(f"nginx, the HTTP proxy, does not listen on {host}:{self._port}")

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Start it again whenever it ends before `finish()`."""
        while True:
            code = process.wait()
            if self._stopping.is_set():
                return
            print(f"nginx, the HTTP proxy, ended with {code}: starting it again", file=sys.stderr, flush=True)
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
        raise SetupError("HTTP needs nginx: install the package nginx (1.20 or newer), or run `make setup`")
    return found
