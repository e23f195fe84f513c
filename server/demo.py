"""A demonstration of a search: `python -m server.demo` asks a dozen queries and prints what was understood.

Most of them share no word with the service's name; others are what people type on the way to one, and a few ask for
what the app does not do.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator

import click
import malgil
from rich.console import Console
from rich.table import Table

from server.launcher import Server
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
OUT_OF_SCOPE = (
    "저녁에 김치찌개 어떻게 끓여?",
    "강남역 근처 맛집",
    "ㅁㄴㅇㄹ",
)
QUERIES = (*MEANT, *TYPED)


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


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The gRPC address of a server that runs for as long as this lasts.

    Raises:
        server.triton.SetupError: it does not start, or does not answer.
    """
    with (
        tempfile.NamedTemporaryFile(prefix="malgil-demo-", suffix=".log") as log,
        Server(ports=free_ports(), log=log) as server,
    ):
        if server.wait_ready() is None:
            raise SetupError("the search does not answer: run `make export` first")
        yield server.grpc_url


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--url", help="gRPC HOST:PORT of a running server. Default: start one for this.")
def demo(url: str | None) -> None:
    """Ask a dozen queries of the sample catalog, and show what was understood."""
    try:
        with contextlib.nullcontext(url) if url else serving() as address:
            show(address, Console(highlight=False))
    except (SetupError, malgil.MalgilError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    demo(prog_name="python -m server.demo")
