"""A query's answer in the draft beside that of the live server, and the differences in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import malgil

from console.draft import Answer, Draft, DraftError, Hit, Missing
from console.draft.problems import sentence
from console.published import Generation, Published

TIMEOUT = 5.0  # seconds that a person waits for the live server
SAME = 5e-5  # difference of two scores that are shown alike
REASONS = {
    "closed": "닫혀 있어요",
    "surface": "이 노출 영역에 나오지 않아요",
    "threshold": "점수가 기준보다 낮아요",
    "null": "앱에 없는 것으로 봐서 비웠어요",
    "floor": "어느 서비스도 비슷하지 않아서 비웠어요",
}


@dataclass(frozen=True)
class Shown:
    """A service in one of the two lists.

    Attributes:
        place: among the hits, from 1; 0 for one that is missing.
        hit: the service with its scores.
        words: how it differs from the other list; empty where nothing does.
        kind: "new", "gone", "up", "down", "score" or "same".
    """

    place: int
    hit: Hit
    words: str
    kind: str


@dataclass(frozen=True)
class Side:
    """One of the two lists.

    Attributes:
        shown: the hits.
        missing: services that are not shown, and why.
        outcome: what null phrases did, as a sentence; empty where nothing was compared.
        empty: whether they left the answer empty.
        problem: why there is no answer; None if there is one.
        number: the store's revision of the draft, or the generation of the live server.
    """

    shown: list[Shown] = field(default_factory=list)
    missing: list[Shown] = field(default_factory=list)
    outcome: str = ""
    empty: bool = False
    problem: str | None = None
    number: int | None = None


@dataclass(frozen=True)
class Comparison:
    """Both lists; `same` where both answers are there and show the same services in the same order."""

    draft: Side
    live: Side
    same: bool


_POOL = ThreadPoolExecutor(8, "live-search")


def compare(
    draft: Draft, published: Published, query: str, surface: str | None = None, top_k: int = 10, null: bool = True
) -> Comparison:
    """Ask the draft and the live server at the same time."""
    live_answer = _POOL.submit(_live, draft, query, surface, top_k, null)
    try:
        answer, problem = draft.search(query, surface, top_k, null), None
    except DraftError as error:
        answer, problem = None, str(error)
    result, live_problem = live_answer.result()
    generation = published.generation(result.generation) if result else None
    live_hits = [_hit(hit, generation) for hit in result] if result else []
    here, there = _places(answer.hits if answer else []), _places(live_hits)
    both = answer is not None and result is not None
    drafted = Side(problem=problem)
    if answer is not None:
        missing = [Shown(0, hit, REASONS[hit.reason], "gone") for hit in answer.missing]
        shown = [
            Shown(place, hit, *(_against(place, hit, there, _why_new(hit, generation, surface)) if both else ("", "")))
            for place, hit in enumerate(answer.hits, start=1)
        ]
        outcome = _outcome(answer)
        drafted = Side(shown, missing, outcome, bool(answer.refused_by), None, answer.revision)
    live = Side(problem=live_problem)
    if result is not None:
        reasons = {hit.id: hit for hit in answer.missing} if answer else {}
        shown = [
            Shown(place, hit, *(_gone(hit, answer, reasons) if answer and hit.id not in here else ("", "same")))
            for place, hit in enumerate(live_hits, start=1)
        ]
        live = Side(shown, [], _live_outcome(result), bool(result.refused_by), None, result.generation)
    same = both and [hit.id for hit in live_hits] == [one.hit.id for one in drafted.shown]
    return Comparison(drafted, live, same)


def _live(
    draft: Draft, query: str, surface: str | None, top_k: int, null: bool
) -> tuple[malgil.SearchResult | None, str | None]:
    try:
        asked = draft.client.search(
            query, surface=surface, top_k=top_k, null_phrases=null, explain=True, timeout=TIMEOUT
        )
        return asked, None
    except malgil.BadRequest as error:
        if surface is not None and "surface" in str(error):
            return None, f"지금 검색에는 노출 영역 ‘{surface}’에 나오는 서비스가 없어요."
        return None, "지금 검색은 이 검색어를 받지 않아요."
    except (malgil.MalgilError, ValueError, OSError) as error:
        return None, sentence(error)


def _hit(hit: malgil.Hit, generation: Generation | None) -> Hit:
    threshold = generation.threshold(hit.id) if generation else None
    return Hit(hit.id, hit.name, hit.path, hit.phrase, hit.score, hit.dense or 0.0, hit.lexical or 0.0, threshold)


def _places(hits: Sequence[Hit]) -> dict[int, tuple[int, Hit]]:
    return {hit.id: (place, hit) for place, hit in enumerate(hits, start=1)}


def _against(place: int, hit: Hit, there: Mapping[int, tuple[int, Hit]], why: str) -> tuple[str, str]:
    """How a hit of the draft differs from the live answer."""
    if hit.id not in there:
        return f"새로 나와요. {why}".strip(), "new"
    before, other = there[hit.id]
    moved = abs(hit.score - other.score) > SAME
    score = f"점수 {other.score:.4f} → {hit.score:.4f}" if moved else ""
    if place < before:
        return f"올라가요: {before}위 → {place}위. {score}".strip(), "up"
    if place > before:
        return f"내려가요: {before}위 → {place}위. {score}".strip(), "down"
    return (f"{score}. 순위는 그대로예요.", "score") if moved else ("그대로예요.", "same")


def _why_new(hit: Hit, generation: Generation | None, surface: str | None) -> str:
    """Why a service that the draft finds is not in the live answer, by what was published."""
    if generation is None:
        return ""
    line = generation.services.get(hit.id)
    if line is None:
        return "아직 게시하지 않은 서비스예요."
    if not line["open"]:
        return "게시된 내용에서는 닫혀 있어요."
    if surface is not None and surface not in line["surfaces"]:
        return "게시된 내용에서는 이 노출 영역에 나오지 않아요."
    return ""


def _gone(hit: Hit, answer: Answer, reasons: Mapping[int, Missing]) -> tuple[str, str]:
    """Why a live hit is not in the draft's answer."""
    if answer.refused_by:
        return f"초안에서는 빠져요. {REASONS[answer.refused_by]}.", "gone"
    why = reasons.get(hit.id)
    if why is None:
        return "초안에서는 빠져요. 다른 서비스가 앞서거나, 지운 서비스예요.", "gone"
    if why.reason == "threshold" and why.threshold is not None:
        return f"초안에서는 빠져요. 점수 {why.score:.4f}가 기준 {why.threshold:.4f}보다 낮아요.", "gone"
    return f"초안에서는 빠져요. {REASONS[why.reason]}.", "gone"


def _outcome(answer: Answer) -> str:
    null = answer.null
    if null is None:
        return ""
    phrase = f"주제 ‘{null.topic}’의 문장 ‘{null.phrase}’({null.score:.4f})"
    best = f"가장 비슷한 서비스({null.best:.4f})"
    if null.refused_by == "null":
        return f"앱에 없는 것을 찾는다고 봐서 결과를 비웠어요. {phrase}이 {best}보다 {null.margin:.4f} 넘게 높아요."
    if null.refused_by == "floor":
        return f"결과를 비웠어요. {best}도 최소 점수 {null.floor:.4f}에 못 미쳐요."
    return f"앱에 없는 것 가운데 가장 비슷한 것은 {phrase}인데, {best}를 넘지 않아서 결과를 보여 줘요."


def _live_outcome(result: malgil.SearchResult) -> str:
    null = result.null
    phrase = f"주제 ‘{null.topic}’의 문장 ‘{null.phrase}’({null.score:.4f})" if null else ""
    if result.refused_by == "null":
        return f"앱에 없는 것을 찾는다고 봐서 결과를 비웠어요. {phrase}이 어느 서비스보다 비슷해요."
    if result.refused_by == "floor":
        return "결과를 비웠어요. 어느 서비스도 최소 점수에 못 미쳐요."
    return f"앱에 없는 것 가운데 가장 비슷한 것은 {phrase}이에요." if phrase else ""
