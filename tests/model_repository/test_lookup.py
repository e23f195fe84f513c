from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lookup import LONGEST_PREFIX, Postings, Prefixes, Start

LETTERS = st.text(alphabet="abz09", min_size=1, max_size=LONGEST_PREFIX)


@given(st.lists(LETTERS, max_size=30), LETTERS)
def test_every_start_with_these_letters_is_found_and_no_other(starts: list[str], letters: str) -> None:
    prefixes = Prefixes(Start(text, row, True, 0.0) for row, text in enumerate(starts))
    rows, first = prefixes.find(letters, 100)
    assert sorted(rows) == [row for row, text in enumerate(starts) if text.startswith(letters)]
    assert first.all()


def test_of_too_many_starts_the_best_ranked_are_kept() -> None:
    prefixes = Prefixes(Start("ab", row, row % 2 == 0, float(row)) for row in range(10))
    rows, first = prefixes.find("a", 3)
    assert sorted(rows) == [7, 8, 9]
    assert dict(zip(rows.tolist(), first.tolist(), strict=True)) == {7: False, 8: True, 9: False}


def test_a_phrase_of_the_same_words_has_all_of_the_score() -> None:
    postings = Postings([["a", "b"], ["a", "c"], ["d", "e"]])
    rows, shares = postings.find(["a", "b"], 10)
    assert rows.tolist() == [0, 1]
    assert shares[0] == pytest.approx(1)
    assert shares[1] < 0.5


def test_words_that_nobody_uses_make_a_query_less_sure() -> None:
    postings = Postings([["a", "b"], ["c"]])
    alone, more = (postings.find(grams, 10)[1][0] for grams in (["a", "b"], ["a", "b", "x", "y"]))
    assert more < 0.7 * alone


def test_rare_words_say_more_than_common_ones() -> None:
    postings = Postings([["common", "rare"], *[["common", f"w{i}"] for i in range(20)]])
    rows, shares = postings.find(["common", "rare"], 30)
    assert rows[np.argmax(shares)] == 0
    common = postings.find(["common", "other"], 30)[1]
    assert common.max() < shares.max() / 2


def test_at_most_so_many_rows_and_nothing_for_unknown_words() -> None:
    postings = Postings([["a"]] * 50)
    assert len(postings.find(["a"], 7)[0]) == 7
    assert len(postings.find(["x"], 7)[0]) == 0
    assert len(Postings([]).find(["x"], 7)[0]) == 0
