"""Generations are listed, compared, gone back to and removed, and none is lost that is needed."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import re
from pathlib import Path

import numpy as np
import pytest
from malgil_core.index import history
from malgil_core.index.generation import GenerationError
from malgil_core.index.reader import current, folder_of, load
from malgil_core.index.writer import publish

from tests.index import CATALOG, ENCODER, as_format_1, embed, service

FINGERPRINT = ENCODER.fingerprint


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Three generations: the whole catalog, without its first service, and with that one renamed."""
    first, *rest = CATALOG
    for services in (CATALOG, tuple(rest), (dataclasses.replace(first, name="돈 보내기"), *rest)):
        publish(services, tmp_path, ENCODER, embed)
    return tmp_path


def damage(index: Path, number: int) -> None:
    file = folder_of(index, number) / "vectors.safetensors"
    file.write_bytes(file.read_bytes()[:-1])


def test_the_list_says_which_one_serves_and_which_is_damaged(index: Path) -> None:
    damage(index, 2)
    found = history.entries(index)
    assert [(entry.number, entry.serves, entry.problem is None) for entry in found] == [
        (1, False, True), (2, False, False), (3, True, True),
    ]  # fmt: skip


def test_a_generation_s_catalog_comes_back_as_it_was_published(index: Path) -> None:
    shown = {line["id"]: line for line in history.catalog(index, 1)}
    assert shown == {
        one.id: one.as_dict() | {"phrases": list(one.phrases), "surfaces": list(one.surfaces)} for one in CATALOG
    }


def test_what_an_earlier_version_published_comes_back_as_a_catalog_and_does_not_serve(index: Path) -> None:
    shown = history.catalog(index, 1)
    as_format_1(folder_of(index, 1))
    assert history.catalog(index, 1) == shown
    with pytest.raises(GenerationError, match="format 1, this reads 3: publish the catalog again"):
        history.rollback(index, 1, FINGERPRINT)


def test_a_difference_names_what_came_went_and_changed(index: Path) -> None:
    one, two, three = (history.catalog(index, number) for number in (1, 2, 3))
    assert [(c.what, c.line["id"]) for c in history.diff(one, two)] == [("removed", 7)]
    assert [(c.what, c.line["id"]) for c in history.diff(two, three)] == [("added", 7)]
    (renamed,) = history.diff(one, three)
    assert (renamed.what, renamed.fields) == ("changed", {"name": ("송금", "돈 보내기")})
    assert history.diff(one, one) == []


def test_going_back_serves_the_same_vectors_under_a_new_number(index: Path) -> None:
    assert history.rollback(index, None, FINGERPRINT) == (2, 4)
    assert history.rollback(index, 1, FINGERPRINT) == (1, 5)
    assert current(index) == 5
    before, after = load(folder_of(index, 1)), load(folder_of(index, 5))
    np.testing.assert_array_equal(before.matrix, after.matrix)
    assert (before.number, after.number) == (1, 5)


def test_a_damaged_generation_is_passed_over_and_not_gone_back_to_by_name(index: Path) -> None:
    damage(index, 2)
    with pytest.raises(GenerationError, match="checksum"):
        history.rollback(index, 2, FINGERPRINT)
    assert history.rollback(index, None, FINGERPRINT) == (1, 4)


@pytest.mark.parametrize(
    ("number", "fingerprint", "sentence"),
    [(9, FINGERPRINT, "has no generation 9: there are 1, 2, 3"), (1, "other", "made by another encoder")],
)
def test_what_cannot_be_gone_back_to_is_said_and_the_old_one_serves_on(
    index: Path, number: int, fingerprint: str, sentence: str
) -> None:
    with pytest.raises(history.HistoryError, match=re.escape(sentence)):
        history.rollback(index, number, fingerprint)
    assert current(index) == 3


def test_there_is_nothing_to_go_back_to_before_the_second_publish(tmp_path: Path) -> None:
    with pytest.raises(history.HistoryError, match="nothing is published yet"):
        history.rollback(tmp_path, None, FINGERPRINT)
    publish(CATALOG, tmp_path, ENCODER, embed)
    with pytest.raises(history.HistoryError, match="no sound generation before 1"):
        history.rollback(tmp_path, None, FINGERPRINT)


def test_old_generations_go_and_the_newest_stay(index: Path) -> None:
    assert history.collect(index, 2) == [1]
    assert history.numbers(index) == [2, 3]
    assert history.collect(index, 2) == []


def test_the_generation_that_serves_stays_however_old_it_is(index: Path) -> None:
    (index / "CURRENT").write_text("000001\n")
    assert history.collect(index, 1) == [2]
    assert history.numbers(index) == [1, 3]


def test_a_generation_that_a_scorer_is_reading_stays(index: Path) -> None:
    descriptor = os.open(folder_of(index, 1), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)  # as reader.load does
    assert history.collect(index, 1) == [2]
    os.close(descriptor)
    assert history.collect(index, 1) == [1]


def test_what_a_killed_collector_left_goes_with_the_next(index: Path) -> None:
    left = index / "generations" / ".000001.old"
    folder_of(index, 1).rename(left)
    history.collect(index, 5)
    assert not left.exists()


def test_what_a_killed_publisher_left_half_written_goes_with_the_next_collection(index: Path) -> None:
    left = index / "generations" / ".000004.tmp"
    left.mkdir()
    (left / "vectors.safetensors").write_bytes(b"half")
    history.collect(index, 5)
    assert not left.exists()
    assert history.numbers(index) == [1, 2, 3]


def test_a_number_is_never_used_twice_even_after_collecting(index: Path) -> None:
    history.collect(index, 1)
    assert publish([service(1, "새 메뉴")], index, ENCODER, embed) == 4
