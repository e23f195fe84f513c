"""Starting a Triton, knowing when it really answers, and leaving nothing behind when it ends."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import malgil

from server import stubs, triton
from server.exposure import MAX_HTTP_BYTES, Exposure
from server.terminator import Terminator

ROOT = Path(__file__).parent.parent
REPOSITORY = ROOT / "model_repository"
PROBE = "송금"  # what a readiness probe searches for
START_SECONDS = 120.0
STOP_SECONDS = 20.0
FREE_SECONDS = 5.0
# Newer Tritons than 2.51 bound by themselves what they take over HTTP; none bounds gRPC.
HTTP_CAP = "--http-max-input-size"


class Server:
    """A running tritonserver, with its stubs, scratch folder and shared memory.

    Use as a context manager, or call `stop()`. Its regions in /dev/shm begin with `shm_prefix`.

    Args:
        repository: the model repository.
        ports: where to listen; `free_ports()` finds some.
        exposure: who may reach it.
        log: where Triton's output goes; None shares this process's stderr.
        flags: more of Triton's flags.

    Raises:
        triton.SetupError: it cannot start as things are; the text says what to do.
    """

    def __init__(
        self,
        repository: Path = REPOSITORY,
        ports: triton.Ports | None = None,
        exposure: Exposure | None = None,
        log: IO[bytes] | None = None,
        flags: Sequence[str] = (),
    ) -> None:
        self.ports = ports or triton.Ports()
        self._exposure = exposure or Exposure()
        check_exported(repository)
        if self._exposure.certificates and (warning := self._exposure.certificates.check()):
            print(warning, file=sys.stderr, flush=True)
        check_free(self._exposure.hosts(), self.ports)
        self._inner_http = free_ports().http if self._exposure.certificates else None
        self._terminator: Terminator | None = None
        self._scratch = Path(tempfile.mkdtemp(prefix="malgil-server-"))
        self.shm_prefix = f"malgil_{os.getpid()}_{self.ports.grpc}_"
        try:
            home = triton.find_home(self._scratch)
            self._terminator = self._end_tls(log)
            cap = [f"{HTTP_CAP}={MAX_HTTP_BYTES}"] if triton.knows(home, HTTP_CAP) else []
            self.process = subprocess.Popen(
                [
                    *end_with_parent(),
                    *triton.command(home, repository.resolve(), self.shm_prefix),
                    *self._exposure.flags(self.ports, self._inner_http),
                    *cap,
                    *flags,
                ],
                env={**home.environment, "MALGIL_METRICS_URL": self.metrics_url},  # for admission, see the tokenizer
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a group of its own: signals are forwarded, and no stub outlives it
            )
        except BaseException:
            if self._terminator is not None:
                self._terminator.stop()
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise

    def _end_tls(self, log: IO[bytes] | None) -> Terminator | None:
        """What stands before Triton's HTTP under TLS."""
        if self._inner_http is None or self._exposure.certificates is None:
            return None
        return Terminator(
            self._exposure.certificates,
            self._exposure.listen,
            self.ports.http,
            self._inner_http,
            MAX_HTTP_BYTES,
            self._scratch / "nginx",
            end_with_parent(),
            log,
        )

    @property
    def grpc_url(self) -> str:
        """HOST:PORT of gRPC, as this machine reaches it; under TLS grpcs://HOST:PORT."""
        return f"{'grpcs://' if self._exposure.certificates else ''}{self._reached('grpc')}"

    @property
    def http_url(self) -> str:
        """URL of HTTP."""
        return f"{'https' if self._exposure.certificates else 'http'}://{self._reached('http')}"

    @property
    def metrics_url(self) -> str:
        """URL of the metrics."""
        return f"http://{self._reached('metrics')}/metrics"

    def _reached(self, name: str) -> str:
        host = self._exposure.hosts()[name]
        return f"{'127.0.0.1' if host == '0.0.0.0' else host}:{getattr(self.ports, name)}"

    def client(self, timeout: float = 5) -> malgil.SearchClient:
        """A client by the way in that needs no certificate: under TLS, Triton's HTTP on loopback. Without retries."""
        url = self.grpc_url if self._inner_http is None else f"http://127.0.0.1:{self._inner_http}"
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
                dead = stubs.died(stubs.of(self.process.pid))
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
        """Pass a signal on to Triton, which waits for connections to end, and so for what stands before it."""
        if self._terminator is not None:
            self._terminator.finish()
        self.process.send_signal(number)

    def wait(self, timeout: float = STOP_SECONDS) -> None:
        """Wait until Triton, told to end, has ended, or so many seconds are over."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout)

    def stop(self, at_once: bool = False) -> int:
        """End Triton if it runs, and clear what it leaves; its exit code.

        Args:
            at_once: do not wait for the requests that it works on.
        """
        if self.process.poll() is None and not at_once:
            self.send_signal(signal.SIGTERM)
            self.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # stubs that did not end with it
        code = self.process.wait()
        with contextlib.suppress(ChildProcessError):  # as a container's first process, this inherits the stubs
            while True:
                os.waitpid(-self.process.pid, 0)
        if self._terminator is not None:
            self._terminator.stop()
        self._wait_free()
        for region in Path("/dev/shm").glob(f"{self.shm_prefix}*"):
            region.unlink(missing_ok=True)
        shutil.rmtree(self._scratch, ignore_errors=True)
        return code

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
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def check_exported(repository: Path) -> None:
    """Whether the repository holds an encoder.

    Raises:
        triton.SetupError: it does not; the text says what to run.
    """
    for path in ("encoder/1/model.onnx", "tokenizer/1/tokenizer.json", "tokenizer/1/encoder.json"):
        if not (repository / path).exists():
            raise triton.SetupError(f"{repository / path} is missing: run `python -m export encoder` first")


def free_ports() -> triton.Ports:
    """Three ports that nothing listens on.

    None of those that Linux gives to outgoing connections: while a server starts, or starts again, one of them could
    take its port, and a client that keeps trying to reach a port of these can even connect to itself.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    candidates = random.sample(range(min(10_000, lowest - 1_000), lowest), k=1_000)
    return triton.Ports(*itertools.islice(filter(_is_free, candidates), 3))


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def check_free(hosts: Mapping[str, str], ports: triton.Ports) -> None:
    """Whether Triton can listen; `hosts` are the addresses by the names in Ports.

    Raises:
        triton.SetupError: a port is taken.
    """
    for name, host in hosts.items():
        port = getattr(ports, name)
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind((host, port))
            except OSError as error:
                raise triton.SetupError(
                    f"{name} port {port} on {host}: {error.strerror}; give another with --{name}-port, or --free-ports"
                ) from None


def end_with_parent() -> list[str]:
    """A prefix for a command that Linux is to end should this process be killed; empty where setpriv is missing."""
    setpriv = shutil.which("setpriv")  # of util-linux, which Debian and Ubuntu always have
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
