"""Reading phrases out of a model's answer, whatever form it has: JSON, fenced blocks, lists, one phrase a line.

    <think>…</think>```json                  1. **이체**                  다음은 문장입니다:
    ["이체", "돈 보내기",]                    2. "돈 보내기"               - 이체
    ```                                                                   - 돈 보내기
    → 이체, 돈 보내기 from each of them

Reading never fails: an answer without phrases gives none.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from malgil_core.text.validation import is_blank

MOST = 100  # phrases taken from an answer: more are a model that does not stop
LONGEST = 200  # characters kept of a phrase: far more than any that can be used
_DEPTH = 20  # of lists and objects in each other

_THOUGHTS = re.compile(r"<(think|thinking|thought|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_END_OF_THOUGHTS = re.compile(r"</(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]*(```|~~~)[^\n]*\n(.*?)(?:^[ \t]*\1|\Z)", re.DOTALL | re.MULTILINE)
# A whole JSON text that is a value: a comma or a closing bracket follows it, a colon would follow a field's name.
_VALUE = re.compile(r'"((?:[^"\\\n]|\\.)*)"\s*(?=[,\]}])')
_MARK = re.compile(r"^\s*(?:[-*+•·▪◦‣–—]+|\(?\d{1,3}[.):]|[①-⑳])\s+(?=\S)|^\s*(?:[•·▪◦‣]|\(?\d{1,3}[.)]|[①-⑳])(?=\D)")
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "「": "」", "『": "』", "`": "`", "«": "»", "<": ">"}
_REMARK = re.compile(r"\s*(?:[-–—:(→=,;].*)?\Z")  # nothing, or what is said of a phrase in quotes before it
_NAMES = ("phrase", "text", "sentence", "query", "문구", "문장", "표현")  # fields that hold the phrase of an object


def phrases(answer: str, *, cut: bool = False) -> list[str]:
    """The phrases in an answer, in order, each once.

    Args:
        answer: the model's text.
        cut: whether it ends before its end: its last line counts only if a line break ends it.
    """
    # Some servers leave out the tag that opens the thoughts: it stood in their prompt.
    text = _END_OF_THOUGHTS.split(_THOUGHTS.sub("", answer))[-1]
    blocks = [match[2] for match in _FENCE.finditer(text) if match[2].strip()]
    text = "\n".join(blocks) if blocks else text
    found = _from_json(text)
    if found is None:
        found = _from_lines(text, cut)
    # A text without a visible character has no embedding.
    return list(dict.fromkeys(text for text in map(tidy, found) if not is_blank(text)))[:MOST]


def tidy(text: str) -> str:
    """A text as it stands in a catalog: NFC, one blank between words, no half surrogate pairs; cut if it is long."""
    whole = unicodedata.normalize("NFC", text.encode("utf-8", "ignore").decode())
    line = " ".join(whole.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _from_json(text: str) -> list[str] | None:
    """The texts of the first JSON list or object; those that are whole where it is damaged. None if there is none."""
    start = re.search(r'\[\s*(?:"|\{|\[|\])|\{\s*(?:"|\})', text)
    if start is None:
        return None
    part = text[start.start() :]
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(part)
    except (ValueError, RecursionError):  # cut, a trailing comma, comments, too deep
        return [_unescaped(match[1]) for match in _VALUE.finditer(part)]
    return list(_texts(value))


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:  # an escape that JSON does not know
        return text


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    """The phrases in a JSON value: all its texts; of objects with the field `phrase`, or one like it, that field."""
    if isinstance(value, str):
        yield value
    elif depth < _DEPTH and isinstance(value, list):
        for item in value:
            yield from _texts(item, depth + 1)
    elif depth < _DEPTH and isinstance(value, dict):
        named = [value[name] for name in _NAMES if isinstance(value.get(name), str)]
        for item in named[:1] or value.values():
            yield from _texts(item, depth + 1)


def _from_lines(text: str, cut: bool) -> list[str]:
    """One phrase a line; where some lines are numbered or have bullets, those alone: the others talk about them."""
    lines = text.splitlines(keepends=True)
    if cut and lines and not lines[-1].endswith(("\n", "\r")):
        lines.pop()
    lines = [line.strip() for line in lines if line.strip()]
    marked = [line for line in lines if _MARK.match(line)]
    if len(lines) == 1 and not marked and lines[0].count(",") > 1:
        lines = lines[0].split(",")
    return [_bare(_MARK.sub("", line)) for line in marked or lines if marked or not _is_talk(line)]


def _is_talk(line: str) -> bool:
    return line.endswith((":", "：")) or line.startswith(("#", "```", "~~~", "---", "***", "<"))


def _bare(line: str) -> str:
    """A line without quotes, emphasis and a comma around it; of a quoted phrase and a remark, the phrase."""
    text = line.strip().rstrip(",;").strip()
    for mark in ("**", "__"):
        if text.startswith(mark) and text.find(mark, 2) > 2:
            text = text[2 : text.find(mark, 2)]
    close = _QUOTES.get(text[:1])
    if close and (end := text.find(close, 1)) > 1 and _REMARK.match(text, end + 1):
        text = text[1:end]
    return text.strip()
