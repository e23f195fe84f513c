"""Texts to token ids, with a tokenizer of a dozen words."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from malgil_core.text.tokenization import PADDING_ID, Tokenization, pad
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from tests.index import ENCODER

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "query", "passage", ":", "송금", "돈", "보내기")
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
    """An exported tokenizer that was saved with another truncation and padding."""
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(pad_id=0, length=20)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    ENCODER.write(tmp_path / "encoder.json")
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


def test_a_phrase_has_the_prompt_of_queries_and_keeps_its_latin_words(bundled: Tokenization, repository: Path) -> None:
    assert encoded(bundled, "thdrma", "query") == encoded(bundled, "송금", "query")
    assert encoded(bundled, "송금", "phrase") == encoded(bundled, "송금", "query")
    assert encoded(bundled, "thdrma", "phrase") != encoded(bundled, "송금", "query")
    knowing = Tokenization.load(repository / "tokenizer" / "1", {"thdrma"})
    assert encoded(knowing, "THDRMA", "query") == encoded(knowing, "THDRMA", "phrase")
    assert encoded(knowing, "thdrma", "query") == encoded(bundled, "thdrma", "phrase")


def test_a_text_typed_on_a_mac_is_the_same_text(folder: Path) -> None:
    tokenization = Tokenization.load(folder)
    apart = unicodedata.normalize("NFD", "송금")
    assert apart != "송금"
    assert encoded(tokenization, apart) == encoded(tokenization, "송금")
    assert SEND in encoded(tokenization, apart)


def test_initials_in_another_form_of_unicode_are_the_same_text(tokenizer: Tokenizer) -> None:
    tokenizer.add_tokens(["ㅅㄱ"])
    tokenization = Tokenization(tokenizer, ENCODER)
    for form in ("ㅅㄱ", "ᄉᄀ", "ﾵﾡ", unicodedata.normalize("NFKC", "ㅅㄱ")):
        for kind in ("query", "passage"):
            assert len(WORDS) in encoded(tokenization, form, kind)


@pytest.mark.parametrize("words", [3, 4, 100])
def test_a_long_text_is_cut_at_the_window_and_still_ends_as_the_encoder_expects(folder: Path, words: int) -> None:
    ids = encoded(Tokenization.load(folder), "돈 " * words)
    assert len(ids) == min(words + 4, 8)
    assert ids[:3] == [CLS, QUERY, COLON]
    assert set(ids[3:-1]) == {MONEY}
    assert ids[-1] == SEP


@pytest.mark.parametrize("words", [1, 4, 5, 100])
def test_an_editor_is_told_how_many_tokens_of_a_phrase_are_cut(folder: Path, words: int) -> None:
    assert Tokenization.load(folder).count("돈 " * words) == words + 4


def test_a_missing_export_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"encoder\.json is missing: run `python -m export encoder` first$"):
        Tokenization.load(tmp_path)
    ENCODER.write(tmp_path / "encoder.json")
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json is missing: run `python -m export encoder` first$"):
        Tokenization.load(tmp_path)


def test_texts_of_one_request_are_padded_with_what_is_no_token() -> None:
    rows = [np.array(row, dtype=np.int64) for row in ([2, 7, 3], [2, 3], [2, 7, 8, 3])]
    padded = pad(rows)
    assert padded.tolist() == [[2, 7, 3, PADDING_ID], [2, 3, PADDING_ID, PADDING_ID], [2, 7, 8, 3]]
    assert padded.dtype == np.int64
    assert PADDING_ID == -1
    assert pad(rows[:1]).tolist() == [[2, 7, 3]]
