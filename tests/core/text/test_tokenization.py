"""Texts to token ids, with a tokenizer of a dozen words."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from malgil_core.text.tokenization import PADDING_ID, Tokenization, check_shape, pad, parse_kind, parse_text, require
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "query", "passage", ":", "송금", "돈", "보내기")
METADATA = {"prompts": {"query": "query: ", "passage": "passage: "}, "max_length": 8}
CLS, SEP, QUERY, PASSAGE, COLON, SEND, MONEY = (
    WORDS.index(word) for word in ("[CLS]", "[SEP]", "query", "passage", ":", "송금", "돈")
)


@pytest.fixture
def tokenizer() -> Tokenizer:
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", CLS), ("[SEP]", SEP)])
    return made


@pytest.fixture
def folder(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    """As an export leaves it, by a tokenizer that had ideas of its own about length."""
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(pad_id=0, length=20)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "encoder.json").write_text(json.dumps(METADATA))
    return tmp_path


def encoded(tokenization: Tokenization, text: str, kind: str = "query") -> list[int]:
    ids: list[int] = tokenization.encode([text], [kind])[0].tolist()
    return ids


def test_a_query_and_a_passage_get_the_prompts_the_encoder_was_trained_with(folder: Path) -> None:
    rows = Tokenization.load(folder).encode(["송금", "송금", "돈"], ["query", "passage", "query"])
    assert [row.tolist() for row in rows] == [
        [CLS, QUERY, COLON, SEND, SEP],
        [CLS, PASSAGE, COLON, SEND, SEP],
        [CLS, QUERY, COLON, MONEY, SEP],
    ]
    assert {row.dtype for row in rows} == {np.dtype(np.int64)}


def test_a_text_typed_on_a_mac_is_the_same_text(folder: Path) -> None:
    tokenization = Tokenization.load(folder)
    apart = unicodedata.normalize("NFD", "송금")
    assert apart != "송금"
    assert encoded(tokenization, apart) == encoded(tokenization, "송금")
    assert SEND in encoded(tokenization, apart)


@pytest.mark.parametrize("words", [3, 4, 100])
def test_a_long_text_is_cut_at_the_window_and_still_ends_as_the_encoder_expects(folder: Path, words: int) -> None:
    ids = encoded(Tokenization.load(folder), "돈 " * words)
    assert len(ids) == min(words + 4, 8)
    assert ids[:3] == [CLS, QUERY, COLON]
    assert set(ids[3:-1]) == {MONEY}
    assert ids[-1] == SEP


def test_a_missing_export_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"encoder\.json is missing: run `python -m export encoder` first$"):
        Tokenization.load(tmp_path)
    (tmp_path / "encoder.json").write_text(json.dumps(METADATA))
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json is missing: run `python -m export encoder` first$"):
        Tokenization.load(tmp_path)


def test_texts_of_one_request_are_padded_with_what_is_no_token() -> None:
    rows = [np.array(row, dtype=np.int64) for row in ([2, 7, 3], [2, 3], [2, 7, 8, 3])]
    padded = pad(rows)
    assert padded.tolist() == [[2, 7, 3, PADDING_ID], [2, 3, PADDING_ID, PADDING_ID], [2, 7, 8, 3]]
    assert padded.dtype == np.int64
    assert PADDING_ID == -1
    assert pad(rows[:1]).tolist() == [[2, 7, 3]]


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "is blank: 0 bytes without a visible character; send at least one"),
        (" \r\n\u3000".encode(), "is blank: 6 bytes without a visible character; send at least one"),
        (b"x" * 8193, "is 8193 bytes long: at most 8192 are taken"),
        (b"ab\xff", "is not UTF-8: invalid start byte at byte 2"),
        (b"\xed\xa0\x80", "is not UTF-8: invalid continuation byte at byte 0"),
        ("송".encode()[:2], "is not UTF-8: unexpected end of data at byte 0"),
    ],
)
def test_a_bad_text_is_refused_with_the_field_the_value_and_the_bound(raw: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape('text (query in search) ' + sentence)}$"):
        parse_text(raw)


@pytest.mark.parametrize("raw", [b"document", b"Query", b"", b"\xff", b"query\0", b"query" * 100])
def test_an_unknown_kind_is_refused_with_the_known_ones(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"^kind is '.{0,32}': it must be one of query, passage$"):
        parse_kind(raw)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1)])
def test_a_text_without_its_batch_dimension_is_refused_in_a_sentence(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^kind has shape \[.*\]: it must have 2 dimensions, the batch first$"):
        check_shape("kind", shape)
    check_shape("kind", (64, 1))


def test_a_missing_text_is_named_and_an_empty_one_is_not_missing() -> None:
    with pytest.raises(ValueError, match=r"^text is missing: a request must have it$"):
        require("text", None)
    assert require("text", []) == []


def test_both_kinds_are_taken() -> None:
    assert [parse_kind(b"query"), parse_kind(b"passage")] == ["query", "passage"]


@given(st.binary(max_size=64) | st.text(max_size=64).map(str.encode))
def test_any_bytes_are_a_text_or_are_refused_in_a_sentence(raw: bytes) -> None:
    taken, refusal = None, None
    try:
        taken = parse_text(raw)
    except ValueError as error:
        refusal = error
    if refusal is None:
        assert taken is not None
        assert taken.encode() == raw
    else:
        assert type(refusal) is ValueError  # UnicodeDecodeError's text is no sentence for a caller
        assert str(refusal).startswith("text (query in search) is ")


def test_a_text_of_the_greatest_length_is_taken() -> None:
    assert parse_text(b"x" * 8192) == "x" * 8192
