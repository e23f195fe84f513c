"""Load on a Triton over gRPC by perf_analyzer, read from the times of its single requests.

perf_analyzer's figures are not used. By time windows it prints none for a server that is slow or unsteady, and its
windows see batches of 64 come in lumps; by request count it divides by up to a second of its own waiting.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import psutil
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from benchmarks import ROOT
from server.triton import SetupError

FOLDER = ROOT / ".venv" / "perf_analyzer"  # where server/install.sh puts it, with the libraries that it asks for
PERCENTILES = (50, 90, 95, 99)
PARTS = 3  # as perf_analyzer's own rule: three parts of a run …
STABLE_WITHIN = 1.10  # … whose throughputs, and mean latencies, are within 10 % of each other
TRIES = 3  # of a run in which perf_analyzer lost answers
LOOK_S = 5.0  # between two looks at whether it did

Ids = npt.NDArray[np.int64]


class LoadError(Exception):
    """A load did not end well; the text says how."""


@dataclass(frozen=True)
class Load:
    """Figures of clients that each send the next request when the last one is answered.

    Each client's first request finds empty queues, and its last one leaves them empty: where there are five or more
    requests of each, those two are not counted. Where there are fewer, all are, and `stable` is false.

    Attributes:
        requests: how many were counted.
        window_s: the seconds in which they ended.
        requests_per_s: the quotient of the two.
        latency_ms: mean, p50, p90, p95 and p99 in milliseconds; never with the clients' first requests.
        parts: requests/s and mean milliseconds in each third of the window.
        stable: whether those agree within 10 %.
    """

    requests: int
    window_s: float
    requests_per_s: float
    latency_ms: dict[str, float]
    parts: list[list[float]]
    stable: bool

    def to_json(self) -> dict[str, Any]:
        """As it is recorded."""
        return asdict(self)


def find() -> tuple[Path, dict[str, str]]:
    """The perf_analyzer to run, and the environment that it runs in.

    Raises:
        SetupError: there is none, or it does not start.
    """
    found = FOLDER / "perf_analyzer" if FOLDER.exists() else Path(shutil.which("perf_analyzer") or "")
    if not found.is_file():
        raise SetupError("there is no perf_analyzer: run `make setup`, which puts one into .venv/perf_analyzer")
    libraries = [str(FOLDER), os.environ.get("LD_LIBRARY_PATH", "")]
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, libraries))}
    tried = subprocess.run([found, "--version"], env=environment, capture_output=True, text=True, check=False)
    if tried.returncode:
        why = tried.stderr.strip().removeprefix(f"{found}: ")
        raise SetupError(f"perf_analyzer does not start ({why}): run `make setup`, or install libb64-0d")
    return found, environment


def write_input(path: Path, requests: Sequence[Mapping[str, str | bytes | bool | Ids]]) -> Path:
    """perf_analyzer's input file: each request's tensors by name, text or bytes for BYTES [1], a switch, a row of ids.

    Returns:
        `path`.
    """
    steps = [{name: _written(value) for name, value in request.items()} for request in requests]
    path.write_text(json.dumps({"data": steps}, ensure_ascii=False), encoding="utf-8")
    return path


def _written(value: str | bytes | bool | Ids) -> Any:
    if isinstance(value, bytes):  # as the tensor has them, behind their length
        return {"b64": base64.b64encode(len(value).to_bytes(4, "little") + value).decode(), "shape": [1]}
    if isinstance(value, (str, bool)):
        return [value]
    return {"content": value.tolist(), "shape": [len(value)]}


def run(url: str, model: str, data: Path, clients: int, requests: int, timeout: float) -> Load:
    """Send requests from so many clients at once, each again as soon as it is answered.

    A run in which perf_analyzer lost answers (`_ends`) is made again; each has the whole timeout.

    Args:
        url: HOST:PORT of gRPC.
        model: its name.
        data: the input file, whose requests are sent in turns.
        clients: how many requests are under way at any moment.
        requests: how many are sent in all, the clients' first ones included; at least one each.
        timeout: seconds after which it is given up.

    Raises:
        LoadError: a request failed, or they did not end in time.
        SetupError: there is no perf_analyzer, or it does not start.
    """
    binary, environment = find()
    count = max(requests, clients)
    with tempfile.TemporaryDirectory(prefix="malgil-load-") as folder:
        export, output = Path(folder, "requests.json"), Path(folder, "output.txt")
        command = [str(binary), "-m", model, "-u", url, "-i", "grpc", "--async", "--input-data", str(data)]
        command += ["--concurrency-range", str(clients), "--request-count", str(count)]
        command += ["--profile-export-file", str(export)]
        for _ in range(TRIES):
            answered = _answered(url, model) + count
            export.unlink(missing_ok=True)  # it is refused where it exists
            with output.open("wb") as stream:
                process = psutil.Popen(command, env=environment, stdout=stream, stderr=subprocess.STDOUT)
            try:
                ended = _ends(process, timeout, url, model, answered)
            except TimeoutError:
                why = f"{requests} requests of {clients} clients took over {timeout:.0f} s"
                raise LoadError(f"{model}: {why}") from None
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            if not ended:
                click.echo(f"{model}: perf_analyzer lost answers of a run, which is made again", err=True)
                continue
            if process.returncode or not export.exists():
                raise LoadError(f"{model}: {why_failed(output.read_text(errors='replace'))}")
            return summarise(*read_export(export.read_bytes()), clients)
    raise LoadError(f"{model}: perf_analyzer lost answers in {TRIES} runs: is the machine overloaded?")


def _ends(process: psutil.Popen, timeout: float, url: str, model: str, answered: int) -> bool:
    """Whether perf_analyzer ends; false where it waits for good, though the server has answered all by its count.

    It forgets the answers that come before its main thread has got from starting the clients to measuring
    (`InferenceProfiler::ProfileHelper`), which takes long on a busy machine, and then waits for their number in vain.
    """
    until, idle = time.monotonic() + timeout, False
    while True:
        used = sum(process.cpu_times()[:2])
        try:
            process.wait(min(LOOK_S, max(until - time.monotonic(), 0)))
            return True
        except psutil.TimeoutExpired:
            pass
        if time.monotonic() >= until:
            raise TimeoutError
        # A large export is still written after the last answer: that takes processor time.
        was, idle = idle, _answered(url, model) == answered and sum(process.cpu_times()[:2]) - used < LOOK_S / 10
        if was and idle:
            return False


def _answered(url: str, model: str) -> int:
    """How many requests for a model a server has answered; 0 where it does not say."""
    with grpc.InferenceServerClient(url) as client:
        try:
            (found,) = client.get_inference_statistics(model, client_timeout=LOOK_S).model_stats
            return int(found.inference_stats.success.count)
        except InferenceServerException:
            return 0  # perf_analyzer says what is wrong


def why_failed(printed: str) -> str:
    """The sentence in perf_analyzer's output that says what went wrong."""
    found: list[str] = re.findall(r"^.*(?:error|fail).*$", printed, re.MULTILINE | re.IGNORECASE)
    # The last is the closest to the cause: those before it say that there was one.
    return found[-1].strip() if found else "perf_analyzer failed without a word"


def read_export(written: bytes) -> tuple[Ids, Ids]:
    """When each request started and ended, in nanoseconds, from perf_analyzer's profile export.

    Not read as JSON: it repeats all outputs, strings with their binary length prefixes, which are not UTF-8. Within
    strings quotes are escaped, so these keys are found only where they are keys.

    Raises:
        LoadError: a request has no end.
    """
    starts = np.array(re.findall(rb'"timestamp":(\d+)', written), dtype=np.int64)
    ends = np.array(re.findall(rb'"response_timestamps":\[(\d+)', written), dtype=np.int64)
    if len(starts) == 0 or len(starts) != len(ends):
        raise LoadError(f"of {len(starts)} requests only {len(ends)} were answered")
    return starts, ends


def summarise(starts: Ids, ends: Ids, clients: int) -> Load:
    """The figures of a run from its requests' starts and ends, in nanoseconds."""
    order = np.argsort(ends, kind="stable")
    ended, took = ends[order], (ends - starts)[order] / 1e6
    if len(ended) < (2 + PARTS) * clients:
        later = (ends - starts)[np.argsort(starts, kind="stable")[clients:]] / 1e6
        window = float(ended[-1] - starts.min()) / 1e9
        return _load(len(ended), window, later if len(later) else took, [])
    bounds = np.linspace(clients - 1, len(ended) - clients - 1, PARTS + 1).astype(int)
    parts = []
    for first, last in itertools.pairwise(bounds):
        seconds = max(float(ended[last] - ended[first]), 1.0) / 1e9  # one lump can hold both
        parts.append([float(last - first) / seconds, float(took[first + 1 : last + 1].mean())])
    first, last = bounds[0], bounds[-1]
    return _load(int(last - first), float(ended[last] - ended[first]) / 1e9, took[first + 1 : last + 1], parts)


def _load(requests: int, window_s: float, took: npt.NDArray[np.float64], parts: list[list[float]]) -> Load:
    latency = {"mean": float(took.mean())} | {f"p{p}": float(np.percentile(took, p)) for p in PERCENTILES}
    spreads = [max(values) / min(values) for values in zip(*parts, strict=True)]
    return Load(requests, window_s, requests / window_s, latency, parts, max(spreads, default=np.inf) <= STABLE_WITHIN)
