"""Whatever is wrong with an exported tokenizer: it is refused with a sentence, or tokenizes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from malgil_core.text.tokenization import Tokenization
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from tests.malformed import BOUNDED, damaged, error_of, odd_json

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "query", "passage", ":", "송금", "돈")
METADATA = {"name": "small", "prompts": {"query": "query: ", "passage": "passage: "}, "max_length": 8}


def tokenizer() -> bytes:
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    return made.to_str().encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exported")


def tokenizes(tokenization: Tokenization) -> None:
    for kind in ("query", "passage"):
        (row,) = tokenization.encode(["송금 " * 50], [kind])
        assert len(row) <= tokenization.max_length
        assert (row >= 0).all()
    tokenization.meant("thdrma")


def outcome(folder: Path, metadata: bytes, tokenizer: bytes) -> str | None:
    (folder / "encoder.json").write_bytes(metadata)
    (folder / "tokenizer.json").write_bytes(tokenizer)
    refused = error_of(lambda: Tokenization.load(folder), ValueError, tokenizes)
    assert refused is None or "run `python -m export encoder` again" in refused
    return refused


def test_the_whole_one_tokenizes(folder: Path) -> None:
    assert outcome(folder, json.dumps(METADATA).encode(), tokenizer()) is None


@BOUNDED
@given(metadata=odd_json(METADATA))
def test_no_metadata_makes_a_tokenizer_that_fails_later(folder: Path, metadata: bytes) -> None:
    outcome(folder, metadata, tokenizer())


@BOUNDED
@given(content=odd_json(json.loads(tokenizer())) | damaged(tokenizer()))
def test_no_tokenizer_file_makes_a_tokenizer_that_fails_later(folder: Path, content: bytes) -> None:
    outcome(folder, json.dumps(METADATA).encode(), content)


@pytest.mark.parametrize(("length", "shown"), [(2, "2"), (0, "0"), (True, "True"), (2**70, "1180591620717411303424")])
def test_a_window_without_room_for_a_text_is_refused(folder: Path, length: int, shown: str) -> None:
    refused = outcome(folder, json.dumps({**METADATA, "max_length": length}).encode(), tokenizer())
    assert f"max_length is {shown}: it must be a whole number from 3" in (refused or "")


@pytest.mark.parametrize("prompts", [{}, {"query": "q: "}, {"query": "q", "passage": None}, [], "query passage"])
def test_a_prompt_that_is_missing_is_named_when_the_model_loads(folder: Path, prompts: object) -> None:
    refused = outcome(folder, json.dumps({**METADATA, "prompts": prompts}).encode(), tokenizer())
    assert "prompts must have a text for each of query, passage" in (refused or "")
