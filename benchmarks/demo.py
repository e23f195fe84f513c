"""`python -m benchmarks demo`: a dozen queries that share no word with the service's name, typos included."""

from __future__ import annotations

import statistics
import time

import malgil
from rich.console import Console
from rich.table import Table

QUERIES = (
    "꿔준 돈 언제 줄 거냐고 물어보기",
    "술자리 계산한 거 넷이서 똑같이",
    "치과에서 낸 거 돌려받고 싶어요",
    "지갑 흘렸어요 빨리 막아줘",
    "배달 음식에 얼마나 쓰는지 궁금해",
    "안 보는 영상 서비스 다달이 나가는 거",
    "침침해서 안 보여 큼직하게 해줘",
    "핸드폰 대고 버스 타기",
    "검사라는 사람이 돈 보내래요",
    "과장 됐는데 이자 좀 깎자",
    "깡통전세 아닌지 보고 싶어",
    "딴사람한태 이체해버렷어",  # the last three with slips of the finger
    "비번 까머겄어요",
    "달라 지굼 얼마애요",
)


def show(url: str, console: Console) -> None:
    """Ask, and print a table of answers with their times."""
    table = Table("query", "first answer", "where", "score", "matched phrase", "ms", title="말길: what was meant")
    times = []
    with malgil.SearchClient(url) as client:
        client.search("준비")  # the first call opens the connection
        for query in QUERIES:
            started = time.perf_counter()
            result = client.search(query, top_k=1)
            times.append(1000 * (time.perf_counter() - started))
            for hit in result:
                ms = f"{times[-1]:.1f}"
                table.add_row(query, hit.name, hit.path, f"{hit.score:.3f}", hit.phrase, ms)
            if not result:
                table.add_row(query, "(nothing)", "", "", "", f"{times[-1]:.1f}")
    console.print(table)
    console.print(f"median {statistics.median(times):.1f} ms a query, one client, this machine")
