"""Warnings on the phrases of a service while they are written, one line each."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from malgil_core.index.building import Vectors
from malgil_core.limits import MAX_TEXT_BYTES
from malgil_core.text.keystrokes import words
from malgil_core.text.validation import is_blank

from console.draft import Draft, DraftError, Neighbour
from console.draft.drafted import Drafted, folded

# Cosine of two phrases of one service from which the second is of no effect. Of 150 phrases of catalogs/finance.jsonl,
# each reworded in nine ways, those at least as near as this to a phrase of their service raised its score for none of
# the 582 queries of catalogs/finance_queries.jsonl by more than 0.013 (median of the largest gains: 0.006; from 0.98
# to 0.995 up to 0.030).
NO_EFFECT = 0.995


@dataclass(frozen=True)
class PhraseWarning:
    """A warning on one line.

    Attributes:
        line: from 0.
        kind: blank, symbols, long, cut, twice, name, null, elsewhere, near or no_effect.
        text: a Korean sentence for who writes the phrases.
    """

    line: int
    kind: str
    text: str

    @property
    def refused(self) -> bool:
        """Whether a catalog with this line cannot be stored."""
        return self.kind in ("blank", "long", "twice_exactly", "null")


def check(draft: Draft, service_id: int | None, name: str, phrases: Sequence[str]) -> list[PhraseWarning]:
    """The warnings on the phrases of a service, by line.

    Without a server, lines that it has not embedded yet are compared as texts alone.

    Args:
        draft: of the catalog as it is stored; whatever it holds of this service is not compared.
        service_id: the catalog's id of the service, None for a new one.
        name: of the service, as it is written now.
        phrases: as they are written now, one a line.
    """
    lines = [unicodedata.normalize("NFC", phrase.strip()) for phrase in phrases]
    found: list[PhraseWarning] = []
    usable = []
    for at, line in enumerate(lines):
        if not line:
            continue  # a line that is not written yet
        alone = list(_alone(draft, at, line))
        found += alone
        if not any(warning.kind in ("blank", "long") for warning in alone):
            usable.append(at)
    found += _twice(lines, usable, name)
    drafted = draft.drafted
    if drafted:
        found += _elsewhere(drafted, service_id, lines, usable)
        try:
            texts = [name, *(lines[at] for at in usable)] if not is_blank(name) else [lines[at] for at in usable]
            vectors = draft.line_vectors(texts) if texts else np.empty((0, 0), np.float32)
        except DraftError:
            return _by_line(found)
        own = len(texts) - len(usable)
        named = {warning.line for warning in found if warning.kind in ("twice", "twice_exactly", "name", "elsewhere")}
        found += _near(draft, service_id, lines, [at for at in usable if at not in named])
        found += _no_effect(texts, vectors, own, usable, named)
    return _by_line(found)


def _alone(draft: Draft, at: int, line: str) -> Iterator[PhraseWarning]:
    """What is wrong with a line whatever the others are."""
    size = len(line.encode("utf-8", "replace"))
    if is_blank(line):
        yield PhraseWarning(at, "blank", "보이는 글자가 없어요. 이 줄을 지우거나 문장을 적어 주세요.")
    elif size > MAX_TEXT_BYTES:
        yield PhraseWarning(at, "long", f"{size:,}바이트예요. {MAX_TEXT_BYTES:,}바이트까지 쓸 수 있어요.")
    else:
        if not words(line):
            yield PhraseWarning(at, "symbols", "글자나 숫자가 없어서 이 문장으로는 찾기 어려워요.")
        count, most = draft.tokens(line)
        if count > most:
            text = f"인코더가 앞의 {most:,}토큰만 읽어요. 이 문장은 {count:,}토큰이라 뒷부분은 검색에 쓰이지 않아요."
            yield PhraseWarning(at, "cut", text)


def _twice(lines: Sequence[str], usable: Sequence[int], name: str) -> Iterator[PhraseWarning]:
    """Lines that stand here already, or are the name."""
    first: dict[str, int] = {}
    name = folded(name)
    for at in usable:
        key = folded(lines[at])
        earlier = first.setdefault(key, at)
        if earlier != at and lines[earlier] == lines[at]:
            yield PhraseWarning(at, "twice_exactly", f"{earlier + 1}번째 줄과 같은 문장이에요. 하나만 남겨 주세요.")
        elif earlier != at:
            text = f"{earlier + 1}번째 줄과 띄어쓰기·대소문자·문장 부호만 다른 문장이에요. 하나면 돼요."
            yield PhraseWarning(at, "twice", text)
        elif key == name:
            yield PhraseWarning(at, "name", "서비스 이름과 같은 문장이에요. 이름으로도 찾아지니 효과가 없어요.")


def _elsewhere(
    drafted: Drafted, service_id: int | None, lines: Sequence[str], usable: Sequence[int]
) -> Iterator[PhraseWarning]:
    """Lines that stand in another service or in a null topic already."""
    for at in usable:
        if (topic := drafted.null_topic_of(lines[at])) is not None:
            text = f"앱에 없는 것(주제 ‘{topic}’)에 같은 문장이 있어요. 한 문장이 둘 다일 수는 없어요."
            yield PhraseWarning(at, "null", text)
        others = [service for service in drafted.services_with(lines[at]) if service.id != service_id]
        if others:
            more = f" 등 {len(others)}곳" if len(others) > 1 else ""
            text = f"다른 서비스에 같은 문장이 있어요: ‘{others[0].path}’{more}. 두 서비스가 같은 점수를 받아요."
            yield PhraseWarning(at, "elsewhere", text)


def _near(draft: Draft, service_id: int | None, lines: Sequence[str], usable: Sequence[int]) -> Iterator[PhraseWarning]:
    """Lines that are nearly another service's phrase."""
    for at, near in zip(usable, draft.line_neighbours([lines[at] for at in usable], service_id), strict=True):
        if near is not None:
            yield PhraseWarning(at, "near", _sentence(near))


def _sentence(near: Neighbour) -> str:
    closed = ", 닫힌 서비스" if not near.open else ""
    return f"다른 서비스의 문장과 거의 같아요: ‘{near.phrase}’ ({near.path}{closed}, 비슷한 정도 {near.cosine:.2f})."


def _no_effect(
    texts: Sequence[str], vectors: Vectors, own: int, usable: Sequence[int], named: set[int]
) -> Iterator[PhraseWarning]:
    """Lines that are so near to an earlier one, or to the name, that leaving them out changes no score by much."""
    if not len(vectors):
        return
    cosines = vectors @ vectors.T
    for place, at in enumerate(usable, start=own):
        if at in named or not place:
            continue
        nearest = int(np.argmax(cosines[place, :place]))
        if (cosine := float(cosines[place, nearest])) >= NO_EFFECT:
            text = (
                f"‘{texts[nearest]}’ 문장과 거의 같아서(비슷한 정도 {cosine:.3f}) 이 줄을 빼도 결과가 달라지지 않아요."
            )
            yield PhraseWarning(at, "no_effect", text)


def _by_line(found: Sequence[PhraseWarning]) -> list[PhraseWarning]:
    return sorted(found, key=lambda warning: warning.line)
