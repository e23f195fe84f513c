"""Choices and skips: what counts, and the bias of positions."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from feedback.bounds import Bounds
from feedback.choices import Choice, Choices, count
from feedback.log import DAY_MS, Window, opened
from feedback.propensity import Propensities, estimate
from tests.feedback.logs import HITS, NOON_MS, Log

ALL = Window(None, NOON_MS + DAY_MS)


def counted(log: Log, folder: Path, propensities: Propensities | None = None, **bounds: float) -> Choices:
    log.write(folder)
    with opened(folder, ALL) as found:
        return count(found, propensities or Propensities(), Bounds(**{"people": 2, "skips": 1, **bounds}))  # type: ignore[arg-type]


def test_what_stood_above_the_choice_and_was_skipped_is_wrong_and_what_stood_below_is_not(tmp_path: Path) -> None:
    log = Log()
    for person in ("a", "b"):
        log.session("카드 한도", chosen=103, person=person)
    assert counted(log, tmp_path).found == [Choice("카드 한도", 103, 2, 1.0, (101, 102))]


def test_a_choice_at_the_top_says_nothing_against_any_other(tmp_path: Path) -> None:
    log = Log()
    for person in ("a", "b"):
        log.session("송금", chosen=101, person=person)
    assert counted(log, tmp_path).found == [Choice("송금", 101, 2, 1.0, ())]


def test_hits_of_keystrokes_on_the_way_were_not_skipped(tmp_path: Path) -> None:
    log = Log()
    for person in ("a", "b"):
        log.session(["카", "카드", "카드 한도"], chosen=102, person=person)
    (found,) = counted(log, tmp_path).found
    assert found == Choice("카드 한도", 102, 2, 1.0, (101,))


def test_a_person_who_repeats_a_search_counts_once(tmp_path: Path) -> None:
    log = Log()
    for _ in range(8):
        log.session("송금", chosen=102, person="a")
    made = counted(log, tmp_path)
    assert made.found == []
    assert made.rare == 1


def test_case_blanks_and_forms_of_unicode_are_one_query_shown_as_most_type_it(tmp_path: Path) -> None:
    log = Log()
    for person, text in zip("abcd", ("IRP 가입", "irp  가입", "IRP 가입!", "IRP 가입"), strict=True):
        log.session(text, chosen=102, person=person)
    assert [(one.query, one.people) for one in counted(log, tmp_path).found] == [("IRP 가입", 4)]


def test_a_query_that_means_something_else_to_others_makes_no_choice(tmp_path: Path) -> None:
    log = Log()
    for i, id in enumerate((101, 101, 101, 102, 102)):
        log.session("카드", chosen=id, person=str(i))
    made = counted(log, tmp_path, share=0.7)
    assert made.found == []
    assert made.ambiguous == 1


def test_what_some_people_want_is_no_negative_though_others_skip_it(tmp_path: Path) -> None:
    log = Log()
    for i in range(8):
        log.session("카드", chosen=103, person=f"c{i}")
    for i in range(2):
        log.session("카드", chosen=101, person=f"a{i}")
    (found,) = counted(log, tmp_path).found
    assert found.skipped == (102,)


def test_a_preference_that_others_turn_round_is_no_negative(tmp_path: Path) -> None:
    log = Log()
    for i in range(5):
        log.session("카드", chosen=103, person=f"c{i}")
    for i in range(3):
        log.session("카드", chosen=101, hits=(103, 101, 102, 104), person=f"a{i}")
    (found,) = counted(log, tmp_path, share=0.6, wanted=0.5).found
    assert found.skipped == (102,)


def test_a_rare_look_at_low_ranks_is_made_up_for_by_weight(tmp_path: Path) -> None:
    log = Log()
    for i in range(6):
        log.session("카드", chosen=101, person=f"a{i}")
    for i in range(4):
        log.session("카드", chosen=104, person=f"d{i}")
    folder = tmp_path / "events"
    assert [one.id for one in counted(log, folder).found] == [101]
    with opened(folder, ALL) as found:
        weighed = count(found, Propensities((1.0, 0.6, 0.4, 0.25)), Bounds(people=2, skips=1))
    (low,) = weighed.found
    assert low.id == 104
    assert low.share == pytest.approx(16 / 22)


def biased(p: tuple[float, ...], swapped: bool, searches: int = 6000) -> Log:
    """Searches of people who look at a rank with probability p and choose what fits, one of two rankings each."""
    draw = random.Random(7)
    log = Log()
    for i in range(searches):
        query = f"검색어 {draw.randrange(60)}"
        fits = random.Random(query)
        relevance = {id: fits.uniform(0.2, 0.9) for id in HITS}
        order = list(HITS)
        if swapped and draw.random() < 0.5:
            at = draw.randrange(3)
            order[at], order[at + 1] = order[at + 1], order[at]
        chosen = [id for rank, id in enumerate(order) if draw.random() < p[rank] * relevance[id]]
        log.session(query, chosen=chosen, hits=order, person=f"person {i}")
    return log


def test_the_bias_of_positions_is_found_from_hits_that_changed_places(tmp_path: Path) -> None:
    truth = (1.0, 0.6, 0.4, 0.3)
    biased(truth, swapped=True).write(tmp_path)
    with opened(tmp_path, ALL) as log:
        found = estimate(log)
    assert found.values == pytest.approx(truth, abs=0.08)


def test_the_bias_of_positions_is_not_guessed_where_nothing_changed_places(tmp_path: Path) -> None:
    biased((1.0, 0.6, 0.4, 0.3), swapped=False, searches=600).write(tmp_path)
    with opened(tmp_path, ALL) as log:
        found = estimate(log)
    assert found == Propensities()
    assert "not weighted" in str(found)
