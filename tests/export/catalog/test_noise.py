import random

import pytest
from malgil_core.text.keystrokes import keys, words
from rapidfuzz.distance import OSA

from export.catalog import noise
from export.catalog.labelled import Labelled


def test_keystrokes_are_what_the_screen_shows_at_each_key_but_the_last() -> None:
    assert [shown for _, shown in noise.keystrokes("송금")] == ["ㅅ", "소", "송", "송ㄱ", "송그"]


def test_initials_and_layout_are_those_of_the_text() -> None:
    assert noise.initials("계좌 이체") == "ㄱㅈㅇㅊ"
    assert noise.typed("송금") == "thdrma"


@pytest.mark.parametrize("slips", [1, 2])
def test_a_typo_is_as_many_slips_as_it_says(slips: int) -> None:
    draw = random.Random(0)
    for _ in range(200):
        shown = noise.typo("계좌이체 한도", draw, slips)
        before, after = ("".join(map(keys, words(text))) for text in ("계좌이체 한도", shown))
        assert shown != "계좌이체 한도"
        assert OSA.distance(before, after) <= slips


def test_the_same_seed_gives_the_same_queries_so_that_figures_can_be_compared() -> None:
    clean = [Labelled("송금 한도", 1, "keyword"), Labelled("내일 비 오나요", None, "out_of_scope")]
    names = [Labelled("이체 한도 변경", 1, "name")]
    assert noise.noisy(clean, names) == noise.noisy(clean, names)
    assert noise.noisy(clean, names) != noise.noisy(clean, names, seed=1)


def test_variants_of_a_query_are_all_tuned_on_or_all_reported() -> None:
    clean = [Labelled("송금 한도", 1, "keyword"), Labelled("카드값", 2, "keyword")]
    made = noise.noisy(clean, [])
    for one in clean:
        assert {other.held_out for other in made if other.clean == one.query} == {one.held_out}
