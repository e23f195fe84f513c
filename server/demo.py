"""A demonstration of a search: `python -m server.demo` asks a dozen queries and prints what was understood.

Most of them share no word with the service's name; others are what people type on the way to one, and a few ask for
what the app does not do. Questions are answered with a service and a help article.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import click
import malgil
from rich.console import Console
from rich.table import Table

from server.documents import Engine
from server.launcher import ROOT, Server
from server.ports import free_ports
from server.triton import SetupError

# Chosen because they are answered well; `python -m benchmarks quality` measures how often that is so.
MEANT = (
    "폰번호만 아는데 돈 부칠 수 있나요",
    "셋이 먹은 밥값 똑같이 나누기",
    "하루에 최대 얼마까지 부칠 수 있어?",
    "누가 내 지갑 훔쳐간 것 같아 당장 막아줘",
    "과장 달았는데 이자 좀 낮춰주려나",
    "치과 영수증 어디에 올려요",
    "천 달러면 우리 돈으로 얼마지",
    "출퇴근길에 걷기만 해도 돈 주는 거",
    "내가 사는 빌라 요즘 얼마나 하려나",
    "손가락만 대면 앱 열리게",
    "대츨 이자 깍아줘",  # from here on with slips of the finger
    "핸드폰 찌거서 지하철 타기",
    "보이스피씽 당햇어요",
    "비번 까머겄어요",
)
TYPED = (
    "송ㄱ",  # half typed
    "ㄷㅊㅍㅇ",  # initials alone
    "thdrma",  # the wrong keyboard layout
    "마이나쓰통쟝",  # two slips of the finger
    "카드분실신고",  # spaces left out
)
BEGUN = ("송ㄱ", "ㄷㅊ", "카드 ㅂ", "eocnf", "더취패")  # to be completed
OUT_OF_SCOPE = (
    "저녁에 김치찌개 어떻게 끓여?",
    "강남역 근처 맛집",
    "ㅁㄴㅇㄹ",
)
QUERIES = (*MEANT, *TYPED)
QUESTIONS = (
    "하루에 큰돈 보내려면 뭐가 필요해요?",
    "비밀번호를 다섯 번 틀렸어요",
    "다른 사람 계좌로 잘못 보냈어요",
    "적금 중간에 깨면 이자는?",
    "해외에서 긁으면 수수료 얼마 나와요",
)
DEADLINE_MS = 10_000  # for articles: a demonstration waits for them on the slowest machine
ARTICLES = ROOT / "catalogs" / "finance_articles.jsonl"


def show(url: str, console: Console) -> None:
    """Ask the queries, and print a table of answers with their times."""
    table = Table("query", "answer", "matched phrase", "score", "ms", title="말길: what was meant")
    times = []
    with malgil.SearchClient(url) as client:
        client.search("준비")  # the first call opens the connection
        for query in QUERIES:
            started = time.perf_counter()
            result = client.search(query, top_k=1)
            times.append(1000 * (time.perf_counter() - started))
            for hit in result:
                ms = f"{times[-1]:.1f}"
                table.add_row(query, hit.path, hit.phrase, f"{hit.score:.3f}", ms)
            if not result:
                table.add_row(query, "(nothing)", "", "", f"{times[-1]:.1f}")
        nothing = Table(
            "query", "topic", "nearest phrase", "score", title="left without an answer: not what the app does"
        )
        for query in OUT_OF_SCOPE:
            result = client.search(query, top_k=1, explain=True)
            near = result.null
            if result or near is None:  # the catalog that serves has other null phrases, or none
                nothing.add_row(query, "(answered)" if result else "", "", "")
            else:
                nothing.add_row(query, near.topic, near.phrase, f"{near.score:.3f}")
    console.print(table)
    console.print(nothing)
    console.print(f"median {statistics.median(times):.1f} ms a query, one client, this machine")


def show_suggestions(url: str, console: Console) -> None:
    """Print what may become of texts that are being typed."""
    table = Table("typed", "suggestions", title="말길: as people type")
    with malgil.SearchClient(url) as client:
        for typed in BEGUN:
            table.add_row(typed, " · ".join(one.text for one in client.suggest(typed, top_k=4)))
    console.print(table)


def show_documents(url: str, console: Console) -> None:
    """Ask the questions, and print a table of services and articles, each pair by one request."""
    table = Table("question", "service", "article", "what it says", "ms", title="말길: service and help article")
    with malgil.SearchClient(url) as client:
        # The engine builds its index at the first search, which takes longer than the default deadline; while that call
        # is overdue, all others are "late" at once, whatever their own deadline.
        client.search_all("준비", documents_deadline_ms=DEADLINE_MS)
        for question in QUESTIONS:
            started = time.perf_counter()
            found = client.search_all(question, top_k=1, documents_top_k=1, documents_deadline_ms=DEADLINE_MS)
            ms = f"{1000 * (time.perf_counter() - started):.1f}"
            services = [hit.path for hit in found.services] or ["(nothing)"]
            articles = [(one.title, textwrap.shorten(one.snippet, 60, placeholder=" …")) for one in found.documents]
            table.add_row(question, services[0], *(articles or [(f"({found.documents.status})", "")])[0], ms)
    console.print(table)


@contextlib.contextmanager
def serving(console: Console) -> Iterator[str]:
    """The gRPC address of a server with the sample's help articles, that runs for as long as this lasts.

    Raises:
        server.triton.SetupError: it does not start, or does not answer.
    """
    with (
        tempfile.TemporaryDirectory(prefix="malgil-demo-") as folder,
        tempfile.NamedTemporaryFile(prefix="malgil-demo-", suffix=".log") as log,
        contextlib.ExitStack() as running,
    ):
        engine = Engine(Path(folder), free_ports().http, lambda sentence: console.print(sentence, style="dim"))
        running.callback(engine.stop)
        engine.start()
        server = running.enter_context(Server(ports=free_ports(), log=log, environment=engine.access.environment))
        if server.wait_ready() is None:
            raise SetupError("the search does not answer: run `make export` first")
        ingest(server.grpc_url, engine.access.environment)
        yield server.grpc_url


def ingest(url: str, environment: dict[str, str]) -> None:
    """Put the sample's help articles into an engine, embedded by the server at `url`.

    Raises:
        server.triton.SetupError: it fails.
    """
    command = [sys.executable, "-m", "documents", "ingest", str(ARTICLES), "--url", url]
    if subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False).returncode != 0:
        raise SetupError(f"{ARTICLES.name} could not be ingested")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--url", help="gRPC HOST:PORT of a running server. Default: start one for this, with help articles.")
def demo(url: str | None) -> None:
    """Ask a dozen queries of the sample catalog, and questions of its help articles, and show what was understood."""
    console = Console(highlight=False)
    try:
        with contextlib.nullcontext(url) if url else serving(console) as address:
            show(address, console)
            show_suggestions(address, console)
            show_documents(address, console)
    except (SetupError, malgil.MalgilError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    demo(prog_name="python -m server.demo")
