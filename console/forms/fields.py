"""Fields of forms: their Korean names, and how what was typed is read."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from starlette.datastructures import FormData

# As the talk's form calls them; of all forms, the page of a form that is sent again included.
LABELS: dict[str, str] = {
    "id": "ID",
    "parent_id": "PID",
    "service_id": "서비스 ID",
    "name": "이름",
    "path": "전체 경로",
    "open": "오픈",
    "phrases": "학습 데이터",
    "memo": "메모",
    "surfaces": "노출 영역",
    "threshold": "Threshold Override",
    "more_surfaces": "새 노출 영역",
    "version": "고치기 시작한 때의 판",
    "phrase": "문장",
    "query": "검색어",
    "service": "서비스",
    "proposal": "제안받은 문장",
}
Errors = dict[str, list[str]]  # field, or "" for the whole form → sentences


class FormError(Exception):
    """What was typed makes no entry; `errors` has the sentences by field."""

    def __init__(self, errors: Errors) -> None:
        self.errors = errors
        super().__init__(str(errors))


def text(form: FormData, name: str) -> str:
    """A field's text; empty where it is missing or a file."""
    value = form.get(name, "")
    return value.replace("\r\n", "\n").replace("\r", "\n") if isinstance(value, str) else ""


def number(form: FormData, name: str) -> int | None:
    """A field's whole number, or None for what is none."""
    return whole_number(text(form, name))


def whole_number(typed: str) -> int | None:
    """The number that a text is, or None."""
    typed = typed.strip()
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) <= 16 else None


def lines(typed: str, before: Sequence[str] = ()) -> tuple[str, ...]:
    """The phrases in a text, one a line, without blank lines.

    A phrase that was there before stays as it was to the byte: a file may have spaces around it, or a line break in it,
    which a text field cannot show.
    """
    known = {shown_line(phrase): phrase for phrase in before}
    found = (shown_line(line) for line in typed.split("\n"))
    return tuple(known.get(line, line) for line in found if line)


def shown_line(phrase: str) -> str:
    """A phrase as one line of a text field."""
    return " ".join(unicodedata.normalize("NFC", phrase).split())


def shown_lines(phrases: Iterable[str]) -> str:
    """Phrases as the text of a field, one a line."""
    return "\n".join(map(shown_line, phrases))


def merged_lines(base: Sequence[str], mine: Sequence[str], theirs: Sequence[str]) -> tuple[str, ...]:
    """Both changes of a list: theirs, without what I have removed, with what I have added.

    Example: of [a, b], mine [a, c] and theirs [a, b, d] make [a, d, c].
    """
    removed = set(base) - set(mine)
    kept = [line for line in theirs if line not in removed]
    return (*kept, *(line for line in mine if line not in set(base) and line not in kept))
