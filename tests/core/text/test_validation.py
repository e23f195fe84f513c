"""Texts in requests: read as they were sent, or refused in a sentence that says what to change."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from malgil_core.text.validation import TEXT_FIELD, check_shape, parse_kind, parse_text, parse_texts, require


@pytest.mark.parametrize("field", [TEXT_FIELD, "query"])
@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "is blank: 0 bytes without a visible character; send at least one"),
        (" \r\n\t\u3000".encode(), "is blank: 7 bytes without a visible character; send at least one"),
        (b"x" * 8193, "is 8193 bytes long: at most 8192 are taken"),
        (b"ab\xff", "is not UTF-8: invalid start byte at byte 2"),
        (b"\xed\xa0\x80", "is not UTF-8: invalid continuation byte at byte 0"),
        ("송".encode()[:2], "is not UTF-8: unexpected end of data at byte 0"),
    ],
)
def test_a_bad_text_is_refused_with_the_field_the_value_and_the_bound(field: str, raw: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'{field} {sentence}')}$"):
        parse_text(field, raw)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{field} {sentence}')}$"):
        parse_texts(field, [b"good", raw])


@pytest.mark.parametrize("text", [*"\u3164\uffa0\u115f\u1160\u200b\ufeff\u00ad\u2800\u2060\ufe0f", "\u3164 \u200b\n"])
def test_a_text_that_shows_nothing_is_blank(text: str) -> None:
    raw = text.encode()
    with pytest.raises(
        ValueError, match=f"^query is blank: {len(raw)} bytes without a visible character; send at least"
    ):
        parse_text("query", raw)


@pytest.mark.parametrize("text", ["송", "🙂", "ㅅ", "송금\u3164", "\u200b1", "❤\ufe0f", "x" * 8192])
def test_a_text_with_something_to_see_is_taken_up_to_the_greatest_length(text: str) -> None:
    assert parse_text("query", text.encode()) == text


@given(st.binary(max_size=64) | st.text(max_size=64).map(str.encode))
def test_any_bytes_are_a_text_or_are_refused_in_a_sentence(raw: bytes) -> None:
    refusal = None
    try:
        assert parse_text(TEXT_FIELD, raw).encode() == raw
    except ValueError as error:
        refusal = error
    if refusal is not None:
        assert type(refusal) is ValueError  # UnicodeDecodeError's text is no sentence for a caller
        assert str(refusal).startswith("text (query in search) is ")


@pytest.mark.parametrize("raw", [b"document", b"Query", b"", b"\xff", b"query\0", b"query" * 100])
def test_an_unknown_kind_is_refused_with_the_known_ones(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"^kind is '.{0,32}': it must be one of query, passage, phrase$"):
        parse_kind(raw)


def test_every_kind_is_taken() -> None:
    assert [parse_kind(kind) for kind in (b"query", b"passage", b"phrase")] == ["query", "passage", "phrase"]


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1)])
def test_a_text_without_its_batch_dimension_is_refused_in_a_sentence(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^kind has shape \[.*\]: it must have 2 dimensions, the batch first$"):
        check_shape("kind", shape)
    check_shape("kind", (64, 1))


def test_a_missing_tensor_is_named_and_an_empty_one_is_not_missing() -> None:
    with pytest.raises(ValueError, match=r"^embedding is missing: a request must have it$"):
        require("embedding", None)
    with pytest.raises(ValueError, match=r"^query is missing: a request must have it$"):
        parse_texts("query", None)
    assert require("embedding", []) == parse_texts("query", []) == []
