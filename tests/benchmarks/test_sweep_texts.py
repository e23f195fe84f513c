"""A text of L tokens has L tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from malgil_core.text.tokenization import Tokenization

from benchmarks import shapes, sweep_texts
from benchmarks.sweep_plan import LENGTHS
from export import ROOT

BUNDLED = ROOT / "model_repository" / "tokenizer" / "1"
WORDS = [word for text in shapes.texts() for word in text.split()]


@pytest.fixture(scope="module")
def wordpiece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tokenizer of the random-weight shapes, in the form that an export leaves."""
    folder = tmp_path_factory.mktemp("wordpiece")
    shapes.tokenizer(shapes.texts(), 35_000).save_pretrained(folder)
    metadata = '{"name": "wordpiece", "max_length": 512, "prompts": {"query": "", "passage": ""}}'
    (folder / "encoder.json").write_text(metadata)
    return folder


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("kind", ["bundled", "wordpiece"])
def test_texts_have_exactly_so_many_tokens_as_the_server_counts_them(kind: str, length: int, wordpiece: Path) -> None:
    folder = BUNDLED if kind == "bundled" else wordpiece
    made = sweep_texts.of_length(folder, WORDS, length)
    assert len({text for text, _ in made}) == sweep_texts.TEXTS
    texts = [text for text, _ in made]
    served = Tokenization.load(folder).encode(texts, ["query"] * len(texts))
    assert {len(ids) for ids in served} == {length}
    assert all((ids == own).all() for ids, (_, own) in zip(served, made, strict=True))
    assert max(len(text.encode()) for text in texts) <= 8192
    assert all(set(text.split()) <= set(WORDS) for text in texts)


def test_two_runs_send_the_same_texts() -> None:
    first, second = (sweep_texts.of_length(BUNDLED, WORDS, 16, count=8) for _ in range(2))
    assert [text for text, _ in first] == [text for text, _ in second]


def test_a_text_longer_than_the_window_is_refused_since_it_would_be_truncated() -> None:
    with pytest.raises(sweep_texts.LengthError, match=r"length 513: the window of .* is 512 tokens"):
        sweep_texts.of_length(BUNDLED, WORDS, 513)


def test_a_length_without_texts_is_one_sentence() -> None:
    with pytest.raises(sweep_texts.LengthError, match="length 3: the words make 0 texts"):
        sweep_texts.of_length(BUNDLED, WORDS, 3, count=4)
