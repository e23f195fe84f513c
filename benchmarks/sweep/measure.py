"""Measures the cells of a sweep on servers of its own, one encoder after the other."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from malgil_core.encoder import EncoderMetadata
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from benchmarks import machine, perf_analyzer, shapes, texts
from benchmarks.perf_analyzer import Load, LoadError
from benchmarks.serving import RestartableServer
from benchmarks.sweep import plan
from benchmarks.sweep.plan import Cell, Line, Options, SweepError
from export.encoder.export import ParityError

TEXT_INPUT = {"search": "query", "embed": "text"}  # any other model takes ids
PROBE_CLIENTS = 16
ENOUGH = 0.5  # of the seconds asked for; a load that ended sooner is repeated at the rate that it has shown

Say = Callable[[str], None]
Done = Callable[[Cell, Line | None], None]


def sweep(options: Options, say: Say = lambda _: None, done: Done = lambda cell, line: None) -> None:
    """Measure what the file does not hold yet.

    Args:
        options: what, for how long, and into which file.
        say: told what is being done.
        done: called after each cell, with its new line, or with None where the file held it.

    Raises:
        SetupError: a server or perf_analyzer does not start.
        SweepError: an encoder cannot be exported, or there are no texts of a length.
    """
    perf_analyzer.find()
    if options.fresh:
        options.output.unlink(missing_ok=True)
    code, here = machine.code(), machine.machine()
    lines = plan.read(options.output)
    held = {plan.cell_of(line): line for line in lines if plan.is_done(line, code, here, options)}
    for encoder in options.encoders:
        cells = [cell for cell in options.cells() if cell.encoder == encoder]
        for cell in cells:
            if cell in held:
                done(cell, None)
        cells = [cell for cell in cells if cell not in held]
        if not cells:
            continue
        try:
            repository = shapes.prepare(encoder, say)
        except ParityError as error:
            raise SweepError(f"{encoder}: {error}") from None
        with (
            tempfile.TemporaryDirectory(prefix="malgil-sweep-") as scratch,
            RestartableServer(repository, folder := Path(scratch)) as server,
        ):
            say(f"{encoder}: starting a server")
            server.start()
            bench = Bench(server.url, repository, folder, options)
            for line in held.values():
                if line["encoder"] == encoder:
                    bench.remember(line)
            beside = {"machine": here, "versions": machine.versions(bench.client), "code": code}
            for cell in cells:
                say(f"{encoder} · {cell.model} · {cell.length} tokens · concurrency {cell.concurrency}")
                line = {**bench.measure(cell), **beside}
                plan.append(options.output, line)
                done(cell, line)
                if "failed" in line:  # its requests may still lie in the queues
                    server.start()
                    bench.reach(server.url)


class Bench:
    """Measures cells on a running server.

    Args:
        url: HOST:PORT of its gRPC.
        repository: what it serves.
        folder: for perf_analyzer's input files.
        options: for how long to measure.
    """

    def __init__(self, url: str, repository: Path, folder: Path, options: Options) -> None:
        self.repository, self.folder, self.options = repository, folder, options
        self.metadata = EncoderMetadata.of(repository)
        self.client = grpc.InferenceServerClient(url)
        self.words = [word for text in shapes.texts() for word in text.split()]
        self.rates: dict[tuple[str, int], dict[int, float]] = {}
        self.url = url

    def reach(self, url: str) -> None:
        """Go on with the server at this address."""
        self.client.close()
        self.url, self.client = url, grpc.InferenceServerClient(url)

    def remember(self, line: Line) -> None:
        """Take a cell's rate as a guess for those with more clients."""
        if "requests_per_s" in line:
            self.rates.setdefault((line["model"], line["length"]), {})[line["concurrency"]] = line["requests_per_s"]

    def measure(self, cell: Cell) -> Line:
        """One cell's line, but for the machine, versions and code."""
        line: Line = {
            "encoder": cell.encoder,
            "model": cell.model,
            "length": cell.length,
            "concurrency": cell.concurrency,
            "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "asked": {"seconds": self.options.seconds, "longest_s": self.options.longest_s},
            "texts": texts.TEXTS,
            "encoder_facts": encoder_facts(self.metadata, self.repository / "encoder/1/model.onnx"),
        }
        try:
            steps = steps_of(self.client, cell.model)
            line["batching"] = batching(self.client, steps)
            line |= self._load(cell, self._input(cell), steps)
        except (LoadError, InferenceServerException) as error:
            line["failed"] = str(error)
        self.remember(line)
        return line

    def _load(self, cell: Cell, data: Path, steps: list[str]) -> Line:
        rate = self._guess(cell, data)
        asked, longest = self.options.seconds, self.options.longest_s
        for _ in range(3):
            count = plan.requests(rate, cell.concurrency, asked, longest)
            if count is None:
                seconds = 2 * cell.concurrency / rate
                return {
                    "skipped": f"two requests of each client would take {seconds:.0f} s: --longest is {longest:.0f}"
                }
            names = list(dict.fromkeys([*steps, cell.model]))
            before = statistics(self.client, names)
            load = self._run(cell, cell.concurrency, data, count, rate)
            after = statistics(self.client, names)
            if load.window_s >= ENOUGH * asked or count >= plan.MOST_REQUESTS:
                break
            rate = load.requests_per_s
        happened = between(before, after)
        failed = int(happened[cell.model]["failed"])
        return {**load.to_json(), "errors": failed, "steps": {name: happened[name] for name in steps}}

    def _guess(self, cell: Cell, data: Path) -> float:
        """Requests/s to expect: those of fewer clients, or else of a few requests sent now."""
        known = self.rates.get((cell.model, cell.length), {})
        fewer = [clients for clients in known if clients <= cell.concurrency]
        if fewer:
            return known[max(fewer)]
        clients = min(cell.concurrency, PROBE_CLIENTS)
        return self._run(cell, clients, data, 2 * clients, rate=0.5).requests_per_s

    def _run(self, cell: Cell, clients: int, data: Path, count: int, rate: float) -> Load:
        timeout = 60 + 3 * count / rate
        return perf_analyzer.run(self.url, cell.model, data, clients, count, timeout)

    def _input(self, cell: Cell) -> Path:
        path = self.folder / f"{cell.model}-{cell.length}.json"
        if not path.exists():
            made = texts.of_length(self.repository / "tokenizer/1", self.words, cell.length)
            name = TEXT_INPUT.get(cell.model)
            requests: list[Any] = [{name: text} if name else {"input_ids": ids} for text, ids in made]
            perf_analyzer.write_input(path, requests)
        return path


def encoder_facts(metadata: EncoderMetadata, model_file: Path) -> dict[str, Any]:
    """The name, shape and size of an exported encoder, from its metadata."""
    names = ("name", "family", "graph", "precision", "vocabulary", "dimension", "max_length", "fingerprint")
    chosen = {name: getattr(metadata, name) for name in names}
    return {**chosen, "model_mib": round(model_file.stat().st_size / 2**20, 1)}


def steps_of(client: Any, model: str) -> list[str]:
    """The models that a request to `model` passes: an ensemble's steps in order, or itself."""
    config = client.get_model_config(model).config
    return [step.model_name for step in config.ensemble_scheduling.step] or [model]


def batching(client: Any, names: list[str]) -> dict[str, Any]:
    """Each model's largest batch, dynamic batcher, instances, and the parameters it is run with."""
    found = {}
    for name in names:
        config = client.get_model_config(name, as_json=True)["config"]
        found[name] = {
            "max_batch_size": config.get("max_batch_size", 0),
            "dynamic_batching": config.get("dynamic_batching"),
            "instances": [
                {"count": group.get("count", 1), "kind": group.get("kind", "KIND_AUTO")}
                for group in config.get("instance_group", [])
            ],
            "parameters": {key: value["string_value"] for key, value in config.get("parameters", {}).items()},
        }
    return found


def statistics(client: Any, names: list[str]) -> dict[str, dict[str, int]]:
    """Each model's counters since it was loaded: requests, inferences, executions, failures, and nanoseconds."""
    found = {}
    for name in names:
        one = client.get_inference_statistics(name).model_stats[0]
        parts = one.inference_stats
        found[name] = {
            "requests": parts.success.count,
            "failed": parts.fail.count,
            "inferences": one.inference_count,
            "executions": one.execution_count,
            "queue": parts.queue.ns,
            "input": parts.compute_input.ns,
            "infer": parts.compute_infer.ns,
            "output": parts.compute_output.ns,
        }
    return found


def between(before: dict[str, dict[str, int]], after: dict[str, dict[str, int]]) -> dict[str, dict[str, float]]:
    """The difference of two readings of `statistics`: milliseconds of each request, and the mean batch, by model."""
    found = {}
    for name, last in after.items():
        change = {key: value - before[name][key] for key, value in last.items()}
        requests, executions = max(change["requests"], 1), max(change["executions"], 1)
        found[name] = {
            **{f"{key}_ms": change[key] / requests / 1e6 for key in ("queue", "input", "infer", "output")},
            "requests": change["requests"],
            "failed": change["failed"],
            "executions": change["executions"],
            "mean_batch": change["inferences"] / executions,
        }
    return found
