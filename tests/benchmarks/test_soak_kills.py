"""A killed publisher tears and loses nothing; and where one did, the soak would say so."""

from __future__ import annotations

import fcntl
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from malgil_core.index.history import Line
from malgil_core.index.reader import folder_of
from malgil_core.index.writer import point_at, publish

from benchmarks.soak import kills, victims
from tests.index import CATALOG, ENCODER, embed, service

ATTEMPTS = {
    attempt: [service(i, f"{attempt}번 메뉴 {i}", path=f"전체 > {attempt}") for i in range(3)] for attempt in (1, 2, 3)
}


def lines_of(attempt: int) -> list[Line]:
    return [one.as_dict() | {"phrases": list(one.phrases), "surfaces": list(one.surfaces)} for one in ATTEMPTS[attempt]]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Generations 1 to 3, each of the attempt of that number."""
    for services in ATTEMPTS.values():
        publish(services, tmp_path, ENCODER, embed)
    return tmp_path


def cut(index: Path, number: int) -> None:
    file = folder_of(index, number) / "services.jsonl"
    file.write_bytes(file.read_bytes()[:-9])


def rename_by_hand(index: Path) -> None:
    shutil.rmtree(folder_of(index, 3))
    publish(ATTEMPTS[1], index, ENCODER, embed)  # 4: CURRENT knows that there was a 3
    manifest = folder_of(index, 4) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"generation": 4', '"generation": 3'))
    folder_of(index, 4).rename(folder_of(index, 3))
    point_at(index, 3)


def other_catalogue(index: Path) -> None:
    publish([service(1, "남의 메뉴", path="전체 > 2")], index, ENCODER, embed)


def test_a_sound_index_has_no_finding(index: Path) -> None:
    assert list(kills.findings(index, {1: 1, 2: 2, 3: 3}, lines_of)) == []
    assert list(kills.findings(index, {1: 1, 2: 2}, lines_of)) == []  # killed before it could say 3
    shutil.rmtree(folder_of(index, 1))  # collected
    assert list(kills.findings(index, {1: 1, 2: 2, 3: 3}, lines_of)) == []


@pytest.mark.parametrize(
    ("harm", "what", "sentence"),
    [
        (lambda index: point_at(index, 2), "lost", "CURRENT names 2, and 3 was acknowledged"),
        (lambda index: (index / "CURRENT").unlink(), "lost", "CURRENT names 0, and 3 was acknowledged"),
        (lambda index: shutil.rmtree(folder_of(index, 2)), "lost", "generation 2 was acknowledged, and is gone"),
        (rename_by_hand, "lost", "generation 3 was attempt 3's, and is 1's"),
        (lambda index: (index / "CURRENT").write_text("00"), "lost", "CURRENT names 0"),
        (lambda index: (index / "CURRENT").write_text(""), "torn", "CURRENT holds ''"),
        (lambda index: shutil.rmtree(folder_of(index, 3)), "torn", "CURRENT names 3, which is not there"),
        (lambda index: cut(index, 3), "torn", "its checksum is not the manifest's"),
        (lambda index: cut(index, 1), "torn", "its checksum is not the manifest's"),
        (other_catalogue, "torn", "generation 4 is not what attempt 2 published"),
    ],
)
def test_what_is_torn_or_lost_is_seen(index: Path, harm: Callable[[Path], object], what: str, sentence: str) -> None:
    harm(index)
    found = dict(kills.findings(index, {1: 1, 2: 2, 3: 3}, lines_of))
    assert sentence in found[what]


def test_a_lock_that_outlives_its_publisher_and_what_it_left_are_seen(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with victims.House(tmp_path, repository, CATALOG) as house:
        house.rehearse()
        assert house.litter() == []
        (house.index / "generations" / ".000009.tmp").mkdir()
        assert house.litter() == [("littered", ".000009.tmp is left")]
        with (house.index / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            step, found = house.kill(0.05)
            monkeypatch.setattr(victims, "PATIENCE", 1)
            waited, stuck = house.kill_one_of_two(0.05, victim_first=True)
            with pytest.raises(RuntimeError, match="that nobody killed failed"):
                house.rehearse()
        monkeypatch.undo()
        assert (waited, [what for what, _ in stuck]) == (True, ["stuck"])
        assert (step, [what for what, _ in found]) == ("before the first write", ["stuck"])
        assert house.kill(0)[1] == []


def test_a_publisher_that_cannot_begin_says_why() -> None:
    publisher = victims.Publisher([sys.executable, "-c", "raise ValueError('no catalogue')"], 1)
    with pytest.raises(RuntimeError, match="no catalogue"):
        publisher.get_ready()


def test_a_publisher_whose_master_is_gone_publishes_nothing(repository: Path, tmp_path: Path) -> None:
    with victims.House(tmp_path, repository, CATALOG) as house:
        publisher = house._next()
        assert publisher.end(kill=False) == ""
        assert (publisher.number, list(house.index.iterdir())) == (None, [])


def test_killed_publishers_tear_and_lose_nothing(repository: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    found = kills.run(tmp_path, repository, 12, 1, lambda *step: steps.append(step), CATALOG)
    assert (found.count, found.torn, found.lost, found.stuck, found.littered) == (12, 0, 0, 0, 0), found
    assert found.problems == ()
    assert sum(found.died.values()) == 9
    assert len(found.died) >= 3, found  # not all at the same instant
    assert found.acknowledged >= kills.REHEARSALS + 1 + 3  # nobody killed these
    assert steps == [(done, 12) for done in range(13)]
