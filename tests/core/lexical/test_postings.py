from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from malgil_core.lexical.arrays import held, spell
from malgil_core.lexical.postings import LONGEST_PREFIX, Postings, Prefixes, Spelling

LETTERS = st.text(alphabet="abz09", min_size=1, max_size=LONGEST_PREFIX + 3)


def prefixes(phrases: Sequence[str], names: int = 0) -> Prefixes:
    """Phrases of Latin letters, the first so many of which are names."""
    return Prefixes(spell(phrases).keys, np.arange(len(phrases)) < names)


def postings(grams: Sequence[Sequence[str]]) -> Postings:
    """Phrases with these n-grams."""
    return Postings(Spelling(*spell([]).keys[:3], *held(grams)), len(grams))


@given(st.lists(st.lists(LETTERS, max_size=3), max_size=30), LETTERS)
def test_every_word_that_begins_with_these_letters_is_found_and_no_other(phrases: list[list[str]], query: str) -> None:
    rows, first = prefixes([" ".join(words) for words in phrases]).find(query, 100)
    begun = [
        (row, at == 0)
        for row, words in enumerate(phrases)
        for at in range(len(words))
        if "".join(words[at:]).startswith(query[:LONGEST_PREFIX])
    ]
    assert sorted(zip(rows.tolist(), first.tolist(), strict=True)) == sorted(begun)


def test_of_too_many_starts_names_then_first_words_then_short_phrases_are_kept() -> None:
    rows, first = prefixes(["abcd", "abcde", "ab", "abc", "abcdef", "x ab"], names=2).find("a", 4)
    assert dict(zip(rows.tolist(), first.tolist(), strict=True)) == {0: True, 1: True, 2: True, 3: True}
    assert sorted(prefixes(["x ab", "abcd", "abc"], names=1).find("a", 2)[0]) == [0, 2]


@pytest.mark.parametrize(
    ("field", "change", "complaint"),
    [
        ("text", lambda a: a[:-1], "ends does not end with text"),
        ("text", lambda a: a + 128, "text is not ASCII"),
        ("ends", lambda a: a[:-1], "ends has 2 phrases, there are 3"),
        ("ends", lambda a: a[[1, 0, 2]], "ends is not ascending"),
        ("starts", lambda a: a - 1, "starts is outside text"),
        ("starts", lambda a: a + 1, "starts is outside text"),
        ("starts", lambda a: a[::-1], "starts is not in order"),
        ("grams", lambda a: a[:-1], "grams and holding are not of one length, or a gram is there twice"),
        ("grams", lambda a: np.append(a[:4], a[:-4]), "grams and holding are not of one length, or a gram"),
        ("grams", lambda a: a + 128, "grams is not ASCII"),
        ("holding", lambda a: a * 4, "holding is not from 1 to the number of phrases"),
        ("holding", lambda a: a - 1, "holding is not from 1 to the number of phrases"),
        ("owners", lambda a: a[:-1], "owners or times is not as long as held"),
        ("times", lambda a: a[:-1], "owners or times is not as long as held"),
        ("owners", lambda a: a - 1, "owners names a phrase that is not there"),
        ("owners", lambda a: a + 1, "owners names a phrase that is not there"),
        ("owners", lambda a: a * 0, "owners is not ascending within an n-gram"),
        ("times", lambda a: a - 1, "times is not positive"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_before_a_query_meets_them(field: str, change: Any, complaint: str) -> None:
    keys = spell(["aaa b", "b aaa", "c"]).keys
    changed = keys._replace(**{field: change(getattr(keys, field))})
    with pytest.raises(ValueError, match=complaint):
        (Prefixes(changed, np.ones(3, bool)), Postings(changed, 3))


def test_a_phrase_of_the_same_words_has_all_of_the_score() -> None:
    index = postings([["a", "b"], ["a", "c"], ["d", "e"]])
    rows, shares = index.find(["a", "b"], 10)
    assert rows.tolist() == [0, 1]
    assert shares[0] == pytest.approx(1)
    assert shares[1] < 0.5


def test_words_that_nobody_uses_make_a_query_less_sure() -> None:
    index = postings([["a", "b"], ["c"]])
    alone, more = (index.find(grams, 10)[1][0] for grams in (["a", "b"], ["a", "b", "x", "y"]))
    assert more < 0.7 * alone


def test_rare_words_say_more_than_common_ones() -> None:
    index = postings([["common", "rare"], *[["common", f"w{i}"] for i in range(20)]])
    rows, shares = index.find(["common", "rare"], 30)
    assert rows[np.argmax(shares)] == 0
    common = index.find(["common", "other"], 30)[1]
    assert common.max() < shares.max() / 2


def test_at_most_so_many_rows_and_nothing_for_unknown_words() -> None:
    index = postings([["a"]] * 50)
    assert len(index.find(["a"], 7)[0]) == 7
    assert len(index.find(["x"], 7)[0]) == 0
    assert len(postings([]).find(["x"], 7)[0]) == 0
