"""`python -m benchmarks demo`: queries that share no word with the service's name, and what people type on the way."""

from __future__ import annotations

import statistics
import time

import malgil
from rich.console import Console
from rich.table import Table

# Chosen because they are answered well; how often that is so, `python -m benchmarks quality` says.
MEANT = (
    "폰번호만 아는데 돈 부칠 수 있나요",
    "셋이 먹은 치킨값 똑같이 나누기",
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
QUERIES = (*MEANT, *TYPED)


def show(url: str, console: Console) -> None:
    """Ask, and print a table of answers with their times."""
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
    console.print(table)
    console.print(f"median {statistics.median(times):.1f} ms a query, one client, this machine")
