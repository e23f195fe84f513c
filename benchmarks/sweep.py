"""`python -m benchmarks sweep`: throughput and latency by sequence length and concurrency, over three encoders.

Each cell loads a live server over gRPC with Korean texts of exactly so many tokens, and adds a line to a file; the same
command goes on where it was stopped. `report` makes the tables and plots from that file.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from benchmarks import perf_analyzer, shapes, sweep_facts, sweep_plan, sweep_record, sweep_texts
from benchmarks.perf_analyzer import Load, LoadError
from benchmarks.sweep_plan import Cell, Options, SweepError
from benchmarks.sweep_record import Line
from export.encoder.export import ParityError
from server.launcher import Server, free_ports
from server.triton import SetupError

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
    code, machine = sweep_facts.code(), sweep_facts.machine()
    lines = sweep_record.read(options.output)
    held = {
        sweep_record.cell_of(line): line for line in lines if sweep_record.is_done(line, code, machine, options)
    }  # fmt: skip
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
        with House(repository) as house, tempfile.TemporaryDirectory(prefix="malgil-sweep-") as folder:
            say(f"{encoder}: starting a server")
            house.start()
            bench = Bench(house.url, repository, Path(folder), options)
            for line in held.values():
                if line["encoder"] == encoder:
                    bench.remember(line)
            beside = {"machine": machine, "versions": sweep_facts.versions(bench.client), "code": code}
            for cell in cells:
                say(f"{encoder} · {cell.model} · {cell.length} tokens · concurrency {cell.concurrency}")
                line = {**bench.measure(cell), **beside}
                sweep_record.append(options.output, line)
                done(cell, line)
                if "failed" in line:  # its requests may still lie in the queues
                    house.start()
                    bench.reach(house.url)


class House:
    """A server over one repository, which can be started anew. Use as a context manager."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._stack = contextlib.ExitStack()
        self.url = ""

    def start(self) -> None:
        """Start it, after ending the one that runs.

        Raises:
            SetupError: it does not start; the text says where its log is.
        """
        self._stack.close()
        path = self._repository.parent / "triton.log"
        log = self._stack.enter_context(path.open("wb"))
        server = self._stack.enter_context(Server(self._repository, free_ports(), log=log))
        try:
            server.wait_ready()
        except SetupError as error:
            raise SetupError(f"{error}; {path}") from None
        self.url = server.grpc_url

    def __enter__(self) -> House:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


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
        self.metadata = json.loads((repository / "tokenizer/1/encoder.json").read_text(encoding="utf-8"))
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
            "texts": sweep_texts.TEXTS,
            "encoder_facts": sweep_facts.encoder(self.metadata, self.repository / "encoder/1/model.onnx"),
        }
        try:
            steps = sweep_facts.steps(self.client, cell.model)
            line["batching"] = sweep_facts.batching(self.client, steps)
            line |= self._load(cell, self._input(cell), steps)
        except (LoadError, InferenceServerException) as error:
            line["failed"] = str(error)
        self.remember(line)
        return line

    def _load(self, cell: Cell, data: Path, steps: list[str]) -> Line:
        rate = self._guess(cell, data)
        asked, longest = self.options.seconds, self.options.longest_s
        for _ in range(3):
            count = sweep_plan.requests(rate, cell.concurrency, asked, longest)
            if count is None:
                seconds = 2 * cell.concurrency / rate
                return {
                    "skipped": f"two requests of each client would take {seconds:.0f} s: --longest is {longest:.0f}"
                }
            names = list(dict.fromkeys([*steps, cell.model]))
            before = sweep_facts.statistics(self.client, names)
            load = self._run(cell, cell.concurrency, data, count, rate)
            after = sweep_facts.statistics(self.client, names)
            if load.window_s >= ENOUGH * asked or count >= sweep_plan.MOST_REQUESTS:
                break
            rate = load.requests_per_s
        happened = sweep_facts.between(before, after)
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
            made = sweep_texts.of_length(self.repository / "tokenizer/1", self.words, cell.length)
            name = TEXT_INPUT.get(cell.model)
            requests: list[Any] = [{name: text} if name else {"input_ids": ids} for text, ids in made]
            perf_analyzer.write_input(path, requests)
        return path
