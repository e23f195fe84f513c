"""Comparison j: embeddings of the labelled queries against Infinity, with the same weights.

Both sides are asked over HTTP, in JSON, by the same client. Infinity (github.com/michaelfeil/infinity) is what many run
to serve embeddings; its environment is made on demand, since its pins are not this project's.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from malgil_core.encoder import EncoderMetadata

from benchmarks import ROOT, shapes
from benchmarks.compare import http_load, inprocess, padded, traffic
from benchmarks.compare.ratios import Ratio
from benchmarks.compare.run import Bench
from server.launcher import Server
from server.ports import free_ports
from server.triton import SetupError

CLIENTS = 64
TARGETS = {"int8": 3.0, "fp32": None}
# The same torch on both sides.
PACKAGES = ("infinity-emb[torch,server]==0.0.78", "torch==2.13.0")
HOME = ROOT / "models" / "bench" / "infinity"
NAME = "bench"
INSTALL_SECONDS = 1800.0
AGREEMENT = 0.98  # least cosine of the same text on both sides, int8 among them


def compare(bench: Bench) -> list[Ratio]:
    """Ratios of requests a second, of the int8 and the fp32 encoder."""
    python = environment(bench)
    repositories = {precision: shapes.prepare(shapes.BUNDLED, bench.say, precision) for precision in TARGETS}
    weights = older_form(padded.bundled_weights(repositories["fp32"], bench.say), bench.folder / "weights")
    prompt = EncoderMetadata.of(repositories["fp32"]).prompts["query"]
    queries = traffic.queries()
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(inprocess.Process())
        url = stack.enter_context(infinity(bench, python, weights))
        asked = {"infinity": [infinity_request(url, prompt + query) for query in queries]}
        for precision, repository in repositories.items():
            server = stack.enter_context(bench.serving(repository))
            asked[precision] = [triton_request(server, query) for query in queries]
            check_agreement(asked[precision][0], asked["infinity"][0])
        sides = {
            name: partial(process.call, http_load.rate, requests, CLIENTS, bench.seconds)
            for name, requests in asked.items()
        }
        found = bench.in_turns(sides)
    name = f"{CLIENTS} clients, against Infinity (torch, batch 64)"
    details = {"protocol": "HTTP", "packages": PACKAGES}
    return [
        Ratio("j", f"embed, {precision}, {name}", found[precision], found["infinity"], target, details=details)
        for precision, target in TARGETS.items()
    ]


def environment(bench: Bench) -> Path:
    """The Python of Infinity's environment, which is made where it is not there yet.

    Raises:
        server.triton.SetupError: it cannot be made.
    """
    python, ready = HOME / "bin" / "python", HOME / "ready"
    wanted = "\n".join(PACKAGES)
    if ready.exists() and ready.read_text(encoding="utf-8") == wanted:
        return python
    bench.say("installing Infinity, once: minutes, and gigabytes where torch comes with CUDA")
    log = bench.folder / "infinity-install.log"
    commands = ([sys.executable, "-m", "venv", "--clear", str(HOME)], [str(python), "-m", "pip", "install", *PACKAGES])
    for command in commands:
        with log.open("ab") as stream:
            try:
                done = subprocess.run(command, stdout=stream, stderr=stream, check=False, timeout=INSTALL_SECONDS)
            except subprocess.TimeoutExpired:
                raise SetupError(f"{PACKAGES[0]} was not installed within {INSTALL_SECONDS:.0f} s") from None
        if done.returncode:
            lines = log.read_text(errors="replace").strip().splitlines()
            why = next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "no output")
            raise SetupError(f"{PACKAGES[0]} cannot be installed into {HOME}: {why}")
    ready.write_text(wanted, encoding="utf-8")
    return python


def older_form(weights: Path, target: Path) -> Path:
    """Link a sentence-transformers folder to `target`, with a configuration that release 3, Infinity's, reads.

    Returns:
        `target`.
    """
    target.mkdir()
    for path in weights.iterdir():
        (target / path.name).symlink_to(path.resolve())
    config = target / "sentence_bert_config.json"
    length = json.loads(config.read_text(encoding="utf-8"))["max_seq_length"]
    config.unlink()
    config.write_text(json.dumps({"max_seq_length": length}), encoding="utf-8")
    return target


@contextlib.contextmanager
def infinity(bench: Bench, python: Path, weights: Path) -> Iterator[str]:
    """The URL of an Infinity that serves these weights.

    Raises:
        server.triton.SetupError: it does not answer.
    """
    bench.say("starting Infinity")
    port = free_ports().http
    url = f"http://127.0.0.1:{port}"
    command = [str(python.parent / "infinity_emb"), "v2", "--model-id", str(weights), "--served-model-name", NAME]
    command += ["--engine", "torch", "--device", "cpu", "--batch-size", "64", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--no-trust-remote-code", "--no-model-warmup"]
    with http_load.serving(command, infinity_request(url, "a"), bench.folder / "infinity.log", "Infinity"):
        yield url


def triton_request(server: Server, query: str) -> http_load.Request:
    """An embedding from Triton, in JSON."""
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1, 1], "data": [query]}
    return http_load.Request(f"{server.http_url}/v2/models/embed/infer", json.dumps({"inputs": [tensor]}).encode())


def infinity_request(url: str, text: str) -> http_load.Request:
    """An embedding from Infinity, in JSON, as OpenAI's interface has it."""
    return http_load.Request(f"{url}/embeddings", json.dumps({"model": NAME, "input": text}).encode())


def check_agreement(triton: http_load.Request, other: http_load.Request) -> None:
    """Check that both sides embed the same text alike.

    Raises:
        server.triton.SetupError: one does not answer, or the cosine is below AGREEMENT.
    """
    answers = [http_load.fetch(request) for request in (triton, other)]
    if answers[0] is None or answers[1] is None:
        raise SetupError("one side does not answer a single embedding")
    ours = np.array(json.loads(answers[0])["outputs"][0]["data"])
    theirs = np.array(json.loads(answers[1])["data"][0]["embedding"])
    cosine = float(ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs))
    if cosine < AGREEMENT:
        raise SetupError(f"both sides embed the same text differently: cosine {cosine:.3f}, below {AGREEMENT:g}")
