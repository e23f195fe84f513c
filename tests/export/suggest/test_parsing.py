"""Phrases are found in whatever form a model answers, and nothing that it writes stops the reading."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.suggest.parsing import LONGEST, MOST, phrases
from tests.malformed import BOUNDED

BOTH = ["이체", "돈 보내기"]


@pytest.mark.parametrize(
    "answer",
    [
        '["이체", "돈 보내기"]',
        '["이체", "돈 보내기",]',
        '{"phrases": ["이체", "돈 보내기"]}',
        '{"phrases": ["이체", "돈 보내기",],}',
        '{"1": "이체", "2": "돈 보내기"}',
        '{"keywords": ["이체"], "questions": ["돈 보내기"]}',
        '[{"phrase": "이체", "reason": "짧다"}, {"phrase": "돈 보내기", "reason": "쉽다"}]',
        '[{"reason": "짧다", "text": "이체"}, {"reason": "쉽다", "text": "돈 보내기"}]',
        '물론입니다!\n```json\n["이체", "돈 보내기"]\n```\n도움이 되었길 바랍니다.',
        "```\n이체\n돈 보내기\n```",
        '```json\n["이체", "돈 보내기"]',
        '다음과 같습니다: ["이체", "돈 보내기"] 감사합니다.',
        "이체\n돈 보내기",
        "이체\r\n돈 보내기\r\n",
        "이체\n\n돈 보내기\n",
        "1. 이체\n2. 돈 보내기",
        "1) 이체\n2) 돈 보내기",
        "(1) 이체\n(2) 돈 보내기",
        "1.이체\n2.돈 보내기",
        "① 이체\n② 돈 보내기",
        "- 이체\n- 돈 보내기",
        "* 이체\n* 돈 보내기",
        "• 이체\n• 돈 보내기",
        "•이체\n•돈 보내기",
        "다음은 제안하는 문장입니다:\n\n- 이체\n- 돈 보내기\n\n도움이 되었길 바랍니다.",
        "제안하는 문장:\n이체\n돈 보내기",
        "## 문장\n이체\n돈 보내기",
        '1. "이체"\n2. "돈 보내기"',
        '1. "이체" - 짧은 낱말\n2. "돈 보내기" (쉬운 말)',
        "- **이체**\n- **돈 보내기**",
        "- “이체”\n- 「돈 보내기」",
        '"이체",\n"돈 보내기",',
        "<think>사용자는 송금을 원한다.\n1. 계좌</think>\n이체\n돈 보내기",
        "사용자는 송금을 원한다.\n- 계좌\n</think>\n이체\n돈 보내기",
        '<THINKING>["계좌"]</THINKING>["이체", "돈 보내기"]',
        "이체\n돈 보내기\n<think>또 무엇이",
        "이체\n이체\n돈  보내기\n돈 보내기",
        '["이체\\u0020", "\\ub3c8 보내기"]',
        "\u110b\u1175\u110e\u1166\n돈\u00a0보내기",  # NFD, and a blank that does not break
        '["이체", // 짧다\n "돈 보내기"]',
        "[['이체']]\n".replace("'", '"').replace("]]", '], ["돈 보내기"]]'),
    ],
)  # fmt: skip
def test_phrases_are_found_in_each_form_that_models_answer_in(answer: str) -> None:
    assert phrases(answer) == BOTH


@pytest.mark.parametrize(
    "answer",
    [
        '["이체", "돈 보내기", "송금하',
        '{"phrases": ["이체", "돈 보내기", "송금',
        '```json\n["이체", "돈 보내기",',
        "이체\n돈 보내기\n송금하",
        "1. 이체\n2. 돈 보내기\n3",
        "1. 이체\n2. 돈 보내기\n3. 송금하",
        '[{"phrase": "이체"}, {"phrase": "돈 보내기"}, {"phr',
    ],
)
def test_of_a_cut_answer_the_whole_phrases_count_and_the_half_one_does_not(answer: str) -> None:
    assert phrases(answer, cut=True) == BOTH


@pytest.mark.parametrize(
    "answer", ["", " \n", "<think>음", "[]", "{}", "```\n```", '{"phrases": [1, null, true]}', "#"]
)
def test_an_answer_without_phrases_gives_none(answer: str) -> None:
    assert phrases(answer) == []


@pytest.mark.parametrize(
    "phrase",
    [
        "3개월 적금 있어?", "1:1 문의 어디 있어", "24시간 상담", "송금하려고 하는데, 어디서 해?", "100만원 보내기",
        "2.5% 적금", "[이벤트] 친구 초대", "'토스' 같은 송금", "*123# 눌러서 이체", "(구) 계좌 이체", "돈 보내기: 처음",
    ],
)  # fmt: skip
def test_numbers_commas_and_brackets_of_a_phrase_stay(phrase: str) -> None:
    assert phrases(f"{phrase}\n돈 보내기") == [phrase, "돈 보내기"]
    assert phrases(f"1. {phrase}\n2. 돈 보내기") == [phrase, "돈 보내기"]
    assert phrases(json.dumps([phrase, "돈 보내기"])) == [phrase, "돈 보내기"]


def test_three_phrases_in_one_line_are_three() -> None:
    assert phrases("이체, 송금, 돈 보내기") == ["이체", "송금", "돈 보내기"]


def test_neither_many_phrases_nor_a_long_one_fill_the_page() -> None:
    assert len(phrases("\n".join(f"문장 {i}" for i in range(5000)))) == MOST
    assert len(phrases("가" * 100_000)[0]) == LONGEST


PIECES = st.sampled_from(
    ["이체", "돈 보내기", '"', "'", "[", "]", "{", "}", ":", ",", "\\", "\\u", "\\ud800", "\ud800", "```", "\n", "\r",
     "<think>", "</think>", "1.", "- ", "**", "“", "#", "json", "\0", "\u200b", " ", "null"]
)  # fmt: skip


@BOUNDED
@given(answer=st.lists(PIECES | st.text(max_size=5), max_size=40).map("".join), cut=st.booleans())
def test_no_answer_stops_the_reading(answer: str, cut: bool) -> None:
    found = phrases(answer, cut=cut)
    assert len(set(found)) == len(found)
    for phrase in found:
        phrase.encode()  # half surrogate pairs are gone
        assert phrase.strip() == phrase != ""


@BOUNDED
@given(
    texts=st.lists(
        st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3) | st.just(" "), min_size=1).filter(str.strip),
        min_size=1, max_size=9, unique_by=lambda text: " ".join(text.split()),
    ),
    prefix=st.sampled_from(["", "물론입니다!\n"]),
)  # fmt: skip
def test_a_json_answer_loses_no_phrase(texts: list[str], prefix: str) -> None:
    wanted = [" ".join(text.split()) for text in texts]
    assert phrases(f"{prefix}{json.dumps(texts)}") == wanted
    assert phrases(f"```json\n{json.dumps({'phrases': texts}, indent=1)}\n```") == wanted


@pytest.mark.parametrize(
    "piece", ["[" * 100_000, '{"a":' * 50_000, "<think>" * 20_000, "```\n" * 20_000, '"\\' * 50_000]
)
def test_a_hostile_answer_takes_no_long_time(piece: str) -> None:
    import time

    started = time.process_time()
    phrases(piece)
    assert time.process_time() - started < 5


def test_a_phrase_that_nobody_can_see_does_not_cost_the_others_their_embedding() -> None:
    assert phrases('["\u200b", "\u3164", "이체"]') == ["이체"]
