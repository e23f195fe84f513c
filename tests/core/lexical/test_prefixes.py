"""Prefixes: at every key of typing a word, the phrases that it stands in are found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from malgil_core.lexical.prefixes import LONGEST_PREFIX, PrefixArrays, Prefixes

LETTERS = st.text(alphabet="abz09", min_size=1, max_size=LONGEST_PREFIX + 3)


def prefixes(phrases: Sequence[str], names: int = 0) -> Prefixes:
    """Phrases of Latin letters, the first so many of which are names."""
    return Prefixes(PrefixArrays.of([phrase.split() for phrase in phrases]), np.arange(len(phrases)) < names)


@given(st.lists(st.lists(LETTERS, max_size=3), max_size=30), LETTERS)
def test_every_word_that_begins_with_these_letters_is_found_and_no_other(phrases: list[list[str]], query: str) -> None:
    rows, is_first = prefixes([" ".join(words) for words in phrases]).find(query, 100)
    expected = [
        (row, at == 0)
        for row, words in enumerate(phrases)
        for at in range(len(words))
        if "".join(words[at:]).startswith(query[:LONGEST_PREFIX])
    ]
    assert sorted(zip(rows.tolist(), is_first.tolist(), strict=True)) == sorted(expected)


def test_of_too_many_phrases_that_begin_alike_names_and_short_ones_are_kept() -> None:
    rows, is_first = prefixes(["abcd", "abcde", "ab", "abc", "abcdef", "x ab"], names=2).find("a", 4)
    assert dict(zip(rows.tolist(), is_first.tolist(), strict=True)) == {0: True, 1: True, 2: True, 3: True}
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
    ],
)
def test_arrays_that_do_not_fit_are_refused_before_a_query_meets_them(field: str, change: Any, complaint: str) -> None:
    arrays = PrefixArrays.of([["aaa", "b"], ["b", "aaa"], ["c"]])
    changed = arrays._replace(**{field: change(getattr(arrays, field))})
    with pytest.raises(ValueError, match=complaint):
        Prefixes(changed, np.ones(3, bool))
