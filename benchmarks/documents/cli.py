"""The command `python -m benchmarks documents`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import psutil
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table

from benchmarks import ROOT, pages, perf_analyzer
from benchmarks.documents import engines, sla, updates
from benchmarks.documents.page import page
from benchmarks.documents.proxy import Proxy
from benchmarks.machine import code, machine
from benchmarks.options import CONSOLE, FILE, Names, Numbers
from documents import sources
from documents.embedded import embedded
from documents.errors import DocumentsError
from documents.evaluate import labelled
from documents.evaluate_cli import ARTICLES, QUESTIONS
from server.launcher import Server
from server.ports import free_ports
from server.triton import SetupError

DEADLINE_MS = 150
KILL_CLIENTS = 4
KILLS = 5


@click.command(short_help="Vector engines by passages; `unified` with its engine healthy, slow and killed.")
@click.option("--engines", "names", type=Names(engines.ENGINES), default=",".join(engines.ENGINES), show_default=True)
@click.option("--sizes", type=Numbers(), default="1000,5000,20000,100000", show_default=True, help="Passages.")
@click.option("--embedded-most", type=click.IntRange(1), default=100_000, show_default=True, help="For milvus-lite.")
@click.option("--updates", "replaced", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--quick", is_flag=True, help="1,000 passages, 40 updates, 50 articles, short loads.")
@click.option("--json", "file", type=FILE, help="Write all figures, and a page of the same name ending in .md.")
def documents(
    names: Sequence[str], sizes: Sequence[int], embedded_most: int, replaced: int, quick: bool, file: Path | None
) -> None:
    """Measure engines by the number of passages, updates under load, and what a slow or dead engine does to searches.

    Engines and vectors are real, the passages' sentences are the sample's; an engine that cannot run here is skipped by
    name.
    """
    sizes, replaced = ((1000,), 40) if quick else (sizes, replaced)
    articles = [one for _, one in sources.read([ARTICLES], lambda place, sentence: None)]
    questions = [one.text for one in labelled(QUESTIONS)]
    result: dict[str, Any] = {"machine": machine(), "code": code()}
    found, left_out = _engines(names, sizes, embedded_most, articles, questions, quick)
    result |= {"engines": [one.to_json() for one in found], "not_measured": left_out}
    with embedded() as uri, progress("milvus-lite under load") as advance:
        outcome = updates.measure(uri, engines.records(articles, 200), replaced, 2, advance)
    result["updates"] = outcome.to_json()
    result |= _sla(questions, quick)
    for title, rows in (("engines", result["engines"]), ("loads", result["loads"])):
        table = Table(*rows[0], title=title)
        for row in rows:
            table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
        CONSOLE.print(table)
    CONSOLE.print(result["updates"], *result["kills"])
    pages.write(file, result, page)


def _engines(
    names: Sequence[str], sizes: Sequence[int], embedded_most: int, articles: Any, questions: Sequence[str], quick: bool
) -> tuple[list[engines.Figures], list[dict[str, Any]]]:
    """The figures of each engine and size, and what was not measured, with the reason."""
    searches = 30 if quick else 200
    found: list[engines.Figures] = []
    left_out: list[dict[str, Any]] = []
    for size in sizes:
        passages = engines.records(articles, size)
        for name in names:
            why = f"--embedded-most is {embedded_most}" if name == "milvus-lite" and size > embedded_most else ""
            try:
                if name == "numpy":
                    found.append(engines.exact(size, searches))
                elif not why:
                    with progress(f"{name}, {size:,}") as advance:
                        found.append(engines.measure(name, passages, questions, searches, advance))
            except (SetupError, DocumentsError) as error:
                why = str(error)
            if why:
                left_out.append({"engine": name, "passages": size, "why": why})
                CONSOLE.print(f"not measured: {name} with {size:,} passages: {why}")
    return found, left_out


@contextmanager
def progress(title: str) -> Iterator[engines.Advance]:
    """A bar for what is done under this title, where the output is a terminal."""
    columns = "{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=CONSOLE, transient=True) as bars:
        task = bars.add_task(title, total=None)
        yield lambda what, done, all: bars.update(task, description=f"{title}: {what}", completed=done, total=all)


def _sla(questions: Sequence[str], quick: bool) -> dict[str, Any]:
    """The loads, and what each kill does, with the sample's articles in a milvus-lite behind a proxy."""
    with tempfile.TemporaryDirectory(prefix="malgil-documents-") as folder, ExitStack() as running:
        engine = running.enter_context(ExitStack())

        def start() -> int:
            return urlsplit(engine.enter_context(embedded(str(Path(folder, "data"))))).port or 0

        proxy = running.enter_context(Proxy(start()))
        log = running.enter_context(Path(folder, "triton.log").open("wb"))
        server = Server(ports=free_ports(), log=log, environment={"MALGIL_DOCUMENTS": proxy.uri})
        running.enter_context(server)
        server.wait_ready()
        file = Path(folder, "articles.jsonl")
        lines = ARTICLES.read_text(encoding="utf-8").splitlines(keepends=True)
        file.write_text("".join(lines[: 50 if quick else None]), encoding="utf-8")
        command = [sys.executable, "-m", "documents", "ingest", str(file), "--url", server.grpc_url]
        subprocess.run([*command, "--engine", proxy.uri], cwd=ROOT, check=True)
        queries = perf_analyzer.write_input(Path(folder, "queries.json"), [{"query": one} for one in questions])
        requests = {4: 400} if quick else {1: 500, 16: 3000}
        loads = sla.loads(server, proxy, queries, requests, CONSOLE.print)

        def kill() -> None:
            for child in psutil.Process().children():
                if "milvus_lite" in child.cmdline():
                    child.kill()

        def restart() -> None:
            engine.close()
            proxy.port = start()

        killed = [
            sla.killed(
                server, questions[:50], kill, restart, 1000 if quick else DEADLINE_MS, KILL_CLIENTS,
                4.0 if quick else 10.0,
            )
            for _ in range(1 if quick else KILLS)
        ]  # fmt: skip
    return {"loads": [one.to_json() for one in loads], "kills": [one.to_json() for one in killed]}
