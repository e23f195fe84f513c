"""Documents in JSON Lines: a bad one is named by its line, and the rest goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from documents.errors import RecordError
from documents.records import MAX_BODY_BYTES, MAX_LINE_BYTES, read_lines, record

GOOD = {"id": "a", "title": "제목", "body": "본문입니다."}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"title": None}, "title is null"),
        ({"body": "x" * (MAX_BODY_BYTES + 1)}, "body is 262145 bytes long"),
        ({"body": "가\x00나"}, "control character U\\+0000"),
        ({"body": " \u200b\n"}, "no visible character"),
        ({"body": "\ud800"}, "half a surrogate pair"),
        ({"id": "x" * 201}, "id is"),
        ({"id": 7}, "id is 7"),
        ({"open": "yes"}, "open is"),
        ({"surfaces": ["A"] * 17}, "surfaces is"),
        ({"updated_at": "2025-02-30"}, "updated_at must be a date"),
        ({"url": "javascript:alert(1)"}, "url must begin with"),
        ({"bodies": "x"}, "is no field"),
        ({"phrases": "한도"}, "phrases is"),
        ({"phrases": ["가"] * 51}, "at most 50 items"),
        ({"phrases": ["가", "나" * 201]}, r"phrases\.1 is .* at most 200 characters"),
        ({"phrases": ["\u200b"]}, r"phrases\.0 has no visible character"),
        ({"phrases": [None]}, r"phrases\.0 is null"),
    ],
)
def test_a_field_out_of_its_bounds_is_named_in_one_sentence(fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(RecordError, match=sentence) as raised:
        record({**GOOD, **fields})
    assert len(str(raised.value)) < 300
    assert len(str(raised.value).splitlines()) == 1


def test_a_line_that_cannot_be_read_is_named_and_the_others_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "documents.jsonl"
    with file.open("wb") as stream:
        for line in (b'{"id": ', b"\xff", b"[" * 100_000, b"[]", b'{"id": "a", "id": "b"}', b"1" * 5000):
            stream.write(line + b"\n")
        for _ in range(100):  # one line of 100 MB
            stream.write(b"x" * 10**6)
        stream.write(b"\n\n" + json.dumps(GOOD).encode())
    refused: list[tuple[str, str]] = []
    found = list(read_lines(file, lambda place, sentence: refused.append((place, sentence))))
    assert [(place, one.id) for place, one in found] == [(f"{file}:9", "a")]
    assert [place for place, _ in refused] == [f"{file}:{number}" for number in range(1, 8)]
    assert refused[-1][1] == f"longer than {MAX_LINE_BYTES} bytes"
