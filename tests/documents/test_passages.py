"""Passages: whole sentences, in order, never more than the encoder reads."""

from __future__ import annotations

import pytest
from malgil_core.text.tokenization import Tokenization

from documents.errors import RecordError
from documents.passages import MAX_PASSAGES, Splitter
from tests.documents.conftest import REPOSITORY

BODY = "한도는 설정에서 바꿉니다. 3.5% 금리는 그대로예요! 신분증이 필요한가요? 네 필요합니다\n둘째 단락입니다. " * 40


@pytest.fixture(scope="module")
def tokenization() -> Tokenization:
    return Tokenization.load(REPOSITORY / "tokenizer" / "1")


def test_a_short_body_is_one_passage_with_the_title_in_front(splitter: Splitter) -> None:
    (found,) = splitter.passages("제목", "첫 문장입니다. 둘째 문장이에요.")
    assert found.embedded == "제목\n첫 문장입니다. 둘째 문장이에요."
    assert [found.text[:end] for end in found.ends] == ["첫 문장입니다.", "첫 문장입니다. 둘째 문장이에요."]


def test_a_long_body_is_cut_at_sentence_borders_and_nothing_is_lost(
    splitter: Splitter, tokenization: Tokenization
) -> None:
    found = splitter.passages("제목", BODY)
    assert len(found) > 1
    assert all(BODY[one.start : one.start + len(one.text)] == one.text for one in found)
    assert "".join("".join(one.text.split()) for one in found) == "".join(BODY.split())
    assert all(one.text[-1] in ".!?다" for one in found)
    sizes = [len(ids) for ids in tokenization.encode([one.embedded for one in found], ["passage"] * len(found))]
    assert max(sizes) <= splitter.tokens


@pytest.mark.parametrize("body", ["가" * 20_000, "가\n" * 10_000, "ㅋ" * 5_000, "a" * 5_000, "\u200b가 " * 3_000])
def test_a_body_without_sentences_is_cut_to_the_window_too(
    splitter: Splitter, tokenization: Tokenization, body: str
) -> None:
    found = splitter.passages("제목 " * 200, body)
    sizes = [len(ids) for ids in tokenization.encode([one.embedded for one in found], ["passage"] * len(found))]
    assert max(sizes) <= splitter.tokens
    assert sum(len(one.text.split()) for one in found) >= len(body.split())


def test_a_body_that_makes_too_many_passages_is_one_sentence(tokenization: Tokenization) -> None:
    with pytest.raises(RecordError, match=rf"^body makes \d+ passages: at most {MAX_PASSAGES} are taken$"):
        Splitter(tokenization, 32).passages("제목", "ㅋ힣" * 13_000)
