"""How long events are kept, and whose: by command, without harm to the rest and to servers that write."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from malgil_core.events import reading
from malgil_core.events.segment import Segment, new_name

from feedback.cli import main
from feedback.log import DAY_MS
from feedback.segments import hashes, locked
from tests.feedback.logs import Log

KEY = bytes(range(32))
DAY = 86_400


def lines(folder: Path) -> list[bytes]:
    return list(reading.lines(folder))


def test_segments_are_kept_for_so_many_days(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = time.time()
    for days in (100, 91, 89, 0):
        log = Log()
        log.session(f"{days}")
        log.write(tmp_path, now - days * DAY)
    assert main(["retain", "--days", "90", "--events", str(tmp_path), "--dry-run"]) == 0
    assert "2 segments" in capsys.readouterr().out
    assert len(reading.segments(tmp_path)) == 4
    assert main(["retain", "--days", "90", "--events", str(tmp_path)]) == 0
    kept = b"".join(lines(tmp_path))
    assert [f'"query": "{days}"'.encode() in kept for days in (100, 91, 89, 0)] == [False, False, True, True]


def test_a_clock_that_ran_ahead_keeps_no_segment_for_ever(tmp_path: Path) -> None:
    log = Log()
    log.session("송금")
    path = log.write(tmp_path, time.time() + 4000 * DAY)
    assert main(["retain", "--days", "90", "--events", str(tmp_path)]) == 0
    assert path.exists()
    os.utime(path, (0, time.time() - 91 * DAY))
    assert main(["retain", "--days", "90", "--events", str(tmp_path)]) == 0
    assert not path.exists()


def forget(folder: Path, *people: str) -> int:
    ids, key = folder.parent / "ids", folder.parent / "key"
    ids.write_text("".join(f"{person}\n" for person in people), encoding="utf-8")
    key.write_bytes(KEY)
    return main(["forget", str(ids), "--key-file", str(key), "--events", str(folder)])


def of(person: str, at_ms: int, log: Log) -> str:
    """A search of somebody, under the hash that the client gives."""
    from malgil._keyed import person_hash

    return log.session("송금", chosen=101, at_ms=at_ms, hashed=person_hash(KEY, person, at_ms, 30))


def test_a_person_is_forgotten_under_the_hashes_of_all_periods_and_nobody_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "events"
    now = int(time.time() * 1000)
    log = Log()
    for days in (0, 40, 400):
        for person in ("user-17", "user-18"):
            of(person, now - days * DAY_MS, log)
        log.write(folder, now / 1000 - days * DAY)
    log.session("환전")
    log.write(folder)
    before = lines(folder)
    assert forget(folder, "user-17", "") == 0
    assert "9 events of 1 people removed, 3 segments" in capsys.readouterr().out
    after = lines(folder)
    gone = hashes(KEY, ["user-17"], 30)
    assert len(after) == len(before) - 9
    assert not [line for line in after if any(one.encode() in line for one in gone)]
    assert [line for line in before if line in after] == after  # the others', in their order
    assert forget(folder, "user-17") == 0
    assert "0 events" in capsys.readouterr().out


def test_events_of_the_same_search_that_name_nobody_are_forgotten_too(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    log = Log()
    search_id = of("user-17", int(time.time() * 1000), log)
    log.event("abandoned", search_id, 5, k=1)
    log.write(folder)
    assert forget(folder, "user-17") == 0
    assert lines(folder) == []


def test_what_a_server_still_writes_is_left_alone_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    log = Log()
    of("user-17", int(time.time() * 1000), log)
    segment = Segment(folder / new_name(time.time()), 0.0)
    segment.write(log.lines)
    assert forget(folder, "user-17") == 1
    assert "3 of their events are left" in capsys.readouterr().out
    segment.write(log.lines)
    segment.seal()
    assert len(lines(folder)) == 6
    assert forget(folder, "user-17") == 0
    assert lines(folder) == []


def test_the_segments_of_a_killed_server_are_sealed_and_those_of_a_running_one_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log()
    log.session("송금")
    for _ in range(2):
        Segment(tmp_path / new_name(time.time()), 0.0).write(log.lines)
    old, new = sorted(tmp_path.glob("*.open"))
    os.utime(old, (0, time.time() - 3600))
    assert main(["seal", "--events", str(tmp_path)]) == 0
    assert "1 segments sealed" in capsys.readouterr().out
    assert not old.exists()
    assert new.exists()
    assert len(lines(tmp_path)) == 6


def test_two_commands_do_not_write_segments_anew_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Log().write(tmp_path)
    with locked(tmp_path):
        assert main(["retain", "--days", "1", "--events", str(tmp_path)]) == 1
    assert "another command" in capsys.readouterr().err
    assert main(["seal", "--events", str(tmp_path / "nowhere")]) == 1
    assert "is not there" in capsys.readouterr().err
