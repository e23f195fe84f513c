"""Start a Triton over a model repository, wait until it answers searches, and stop it without leaving anything."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import malgil
from malgil_core.encoder import EncoderMetadata, EncoderMetadataError

from server import processes, stubs, triton
from server.exposure import Exposure
from server.ports import Ports, check_free, free_ports
from server.proxy import MAX_BYTES, Proxy

ROOT = Path(__file__).parent.parent
REPOSITORY = ROOT / "model_repository"
PROBE = "송금"  # what a readiness probe searches for
START_SECONDS = 120.0
STOP_SECONDS = 20.0
FREE_SECONDS = 5.0
HTTP_CAP = "--http-max-input-size"  # of newer Tritons than 2.51, to know what its proxy lets through
# Triton parses JSON by recursion. A body of MAX_BYTES is a million brackets deep and takes 300 MiB of stack, which the
# usual 8 MiB would not hold: the whole server would end. Memory is taken only where a stack has once grown.
STACK_BYTES = 512 * 2**20


class Server:
    """A tritonserver over a model repository, with its stubs, its scratch folder and its shared memory.

    `start()` and `stop()` it, again and again if need be, at the same addresses; a context manager does both.

    Args:
        repository: the model repository.
        ports: where it listens; `free_ports()` finds some.
        exposure: who may reach it.
        log: where Triton's output goes; None shares this process's stderr.
        flags: more of Triton's flags.
        environment: more of Triton's variables.
    """

    def __init__(
        self,
        repository: Path = REPOSITORY,
        ports: Ports | None = None,
        exposure: Exposure | None = None,
        log: IO[bytes] | None = None,
        flags: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.ports = ports or Ports()
        self.shm_prefix = f"malgil_{os.getpid()}_{self.ports.grpc}_"  # of its regions in /dev/shm
        self._repository, self._exposure, self._log, self._flags = repository, exposure or Exposure(), log, flags
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch: Path | None = None
        self._proxy: Proxy | None = None
        self._inner = self.ports
        self._code = 0

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The tritonserver.

        Raises:
            RuntimeError: it is not started.
        """
        if self._process is None:
            raise RuntimeError("the server is not started")
        return self._process

    def start(self) -> None:
        """Start Triton; `wait_ready` waits until it answers.

        Raises:
            triton.SetupError: it cannot start as things are; the text says what to do.
            RuntimeError: it is started already.
        """
        if self._process is not None:
            raise RuntimeError("the server is started already")
        check_exported(self._repository)
        certificates = self._exposure.certificates
        if certificates and (warning := certificates.check()):
            print(warning, file=sys.stderr, flush=True)
        check_free(self._exposure.hosts(), self.ports)
        folder = None if triton.is_plain(Path(tempfile.gettempdir())) else "/tmp"
        self._scratch = Path(tempfile.mkdtemp(prefix="malgil-server-", dir=folder))
        try:
            self._start_in(self._scratch)
        except BaseException:
            self._clear()
            raise

    def _start_in(self, scratch: Path) -> None:
        home = triton.find_home(scratch)
        repository = triton.plain_path(self._repository.resolve(), scratch / "model_repository")
        self._inner = free_ports()
        self._proxy = Proxy(self._exposure, self.ports, self._inner, scratch / "nginx", self._log)
        self._proxy.start()
        cap = [f"{HTTP_CAP}={MAX_BYTES}"] if triton.knows(home, HTTP_CAP) else []
        self._process = processes.start(
            [
                *triton.command(home, repository, self.shm_prefix),
                *self._exposure.flags(self.ports, self._inner),
                *cap,
                *self._flags,
            ],
            # The URL is for admission, see the tokenizer.
            {**home.environment, **self._environment, "MALGIL_METRICS_URL": self.metrics_url},
            self._log,
            STACK_BYTES,
        )

    @property
    def grpc_url(self) -> str:
        """HOST:PORT of gRPC, as this machine reaches it; under TLS grpcs://HOST:PORT."""
        return f"{'grpcs://' if self._exposure.certificates else ''}{self._address('grpc')}"

    @property
    def http_url(self) -> str:
        """URL of HTTP."""
        return f"{'https' if self._exposure.certificates else 'http'}://{self._address('http')}"

    @property
    def inner_http_url(self) -> str:
        """URL of Triton's own HTTP, on loopback behind the proxy; without TLS whatever the server has."""
        return f"http://127.0.0.1:{self._inner.http}"

    @property
    def metrics_url(self) -> str:
        """URL of the metrics."""
        return f"http://{self._address('metrics')}/metrics"

    def _address(self, name: str) -> str:
        host = self._exposure.hosts()[name]
        return f"{'127.0.0.1' if host == '0.0.0.0' else host}:{getattr(self.ports, name)}"

    def client(self, timeout: float = 5) -> malgil.SearchClient:
        """A client, without retries, that needs no certificate: under TLS it asks Triton's own HTTP."""
        url = self.inner_http_url if self._exposure.certificates else self.grpc_url
        return malgil.SearchClient(url, timeout=timeout, retries=0, key=self._exposure.key)

    def wait_ready(self, timeout: float = START_SECONDS) -> int | None:
        """Wait until a real search is answered.

        Returns:
            The generation that serves, or None where no catalog is published and only `embed` answers.

        Raises:
            triton.SetupError: Triton ended, or did not answer in time.
        """
        deadline = time.monotonic() + timeout
        with self.client() as client:
            while time.monotonic() < deadline:
                if self.process.poll() is not None:
                    raise triton.SetupError(
                        f"tritonserver ended with {self.process.returncode} before it answered: see its log"
                    )
                dead = stubs.describe_dead(stubs.find(self.process.pid))
                if dead:  # it would never answer
                    raise triton.SetupError(f"{dead} before a search was answered: see tritonserver's log")
                try:
                    return client.search(PROBE, top_k=1).generation
                except malgil.MalgilError:
                    with contextlib.suppress(malgil.MalgilError):
                        client.embed(PROBE)
                        # Once more: the scorer may have come up between the two.
                        with contextlib.suppress(malgil.MalgilError):
                            return client.search(PROBE, top_k=1).generation
                        return None
                time.sleep(0.1)
        raise triton.SetupError(f"tritonserver did not answer a search within {timeout:.0f} s")

    def send_signal(self, number: int) -> None:
        """Pass a signal on to Triton; nothing where it is not started."""
        if self._proxy is not None:
            self._proxy.finish()  # Triton waits until its connections are closed, and so until the proxy's are
        if self._process is not None:
            self._process.send_signal(number)

    def wait(self, timeout: float = STOP_SECONDS) -> None:
        """Wait until Triton, told to stop, has ended, or so many seconds are over."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout)

    def stop(self, at_once: bool = False) -> int:
        """Stop Triton if it runs, and remove what it leaves; the exit code of the last Triton.

        Args:
            at_once: do not wait for the requests that it works on.
        """
        if self._process is not None:
            if self._process.poll() is None and not at_once:
                self.send_signal(signal.SIGTERM)
                self.wait()
            self._code = processes.kill_group(self._process)  # stubs may be left when Triton is not
            self._clear()
        return self._code

    def _clear(self) -> None:
        if self._proxy is not None:
            self._proxy.stop()
        if self._process is not None:
            self._wait_free()
        for region in Path("/dev/shm").glob(f"{self.shm_prefix}*"):
            region.unlink(missing_ok=True)
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
        self._process = self._proxy = self._scratch = None

    def _wait_free(self) -> None:
        """Wait until nothing of its group, which others may have to reap, holds the ports: a restart needs them."""
        deadline = time.monotonic() + FREE_SECONDS
        while time.monotonic() < deadline:
            try:
                check_free(self._exposure.hosts(), self.ports)
            except triton.SetupError:
                time.sleep(0.02)
            else:
                break

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def check_exported(repository: Path) -> None:
    """Check that the repository holds an exported encoder, of this version and with all its files.

    Raises:
        triton.SetupError: it does not; the text says what to run.
    """
    try:
        files = EncoderMetadata.of(repository).files
    except (FileNotFoundError, EncoderMetadataError) as error:
        raise triton.SetupError(str(error)) from None
    for name in files:
        path = repository / ("tokenizer" if name == "tokenizer.json" else "encoder") / "1" / name
        if not path.exists():
            raise triton.SetupError(f"{path} is missing: run `python -m export encoder` first")
