"""Reading of a log: every event once, whatever its segments have been through."""

from __future__ import annotations

from pathlib import Path

import pytest
from malgil_core.events.segment import Segment, new_name

from feedback.errors import FeedbackError
from feedback.log import DAY_MS, Window, opened
from tests.feedback.logs import NOON_MS, Log

ALL = Window(None, NOON_MS + DAY_MS)


def counts(folder: Path, window: Window = ALL) -> dict[str, int]:
    with opened(folder, window) as log:
        tables = ("search", "shown", "chosen", "session", "look")
        return {name: log.one(f"SELECT count(*) AS n FROM {name}")["n"] for name in tables}


def test_an_event_that_was_sent_twice_counts_once(tmp_path: Path) -> None:
    log = Log()
    log.session(["송", "송금"], chosen=102, person="minji")
    log.lines *= 2
    log.write(tmp_path / "events")
    assert counts(tmp_path / "events") == {"search": 2, "shown": 8, "chosen": 1, "session": 1, "look": 1}


def test_what_a_server_still_writes_counts_too(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    log = Log()
    log.session("송금")
    log.write(folder)
    log.session("환전")
    segment = Segment(folder / new_name(0), 0.0)
    segment.write(log.lines)
    assert counts(folder)["session"] == 2
    segment.seal()
    assert counts(folder)["session"] == 2


def test_a_damaged_line_or_end_costs_no_other_event(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    log = Log()
    log.session("송금")
    log.lines[1:1] = [b"{}", b"no json", b"[1, 2]", b'{"type": 3', b'"text"', b"", b"\xff\xfe"]
    log.write(folder)
    log.session("환전")
    cut = log.write(folder)
    cut.write_bytes(cut.read_bytes()[:-8])
    with opened(folder, ALL) as found:
        assert found.one("SELECT count(*) AS n FROM session")["n"] >= 1
        assert found.rows("SELECT folded FROM search WHERE folded = '송금'") != []
        assert found.damaged >= 7


def test_a_text_out_of_a_log_is_never_a_command_of_the_database(tmp_path: Path) -> None:
    hostile = ["'; DROP TABLE search; --", "$limit", "\"; ATTACH '/tmp/x'; --", "read_csv('/etc/passwd')", "\\", "�"]
    log = Log()
    for text in hostile:
        log.session(text, surface=text[:64])
    log.write(tmp_path / "events")
    with opened(tmp_path / "events", ALL) as found:
        assert sorted(row["query"] for row in found.rows("SELECT query FROM search")) == sorted(hostile)
        assert {row["surface"] for row in found.rows("SELECT surface FROM session")} == {*hostile}
        with pytest.raises(Exception, match="disabled"):  # nothing but the tables can be reached
            found.rows("SELECT * FROM read_csv('/etc/passwd')")


def test_events_of_other_days_and_of_wrong_clocks_are_left_out(tmp_path: Path) -> None:
    log = Log()
    log.session("오늘")
    log.session("먼저", at_ms=NOON_MS - 40 * DAY_MS)
    log.session("나중", at_ms=NOON_MS + 400 * DAY_MS)
    log.session("처음", at_ms=1)
    log.write(tmp_path / "events")
    with opened(tmp_path / "events", Window(30, NOON_MS + DAY_MS)) as found:
        assert [row["query"] for row in found.rows("SELECT query FROM search")] == ["오늘"]
        assert found.outside == 9
    assert counts(tmp_path / "events")["session"] == 3  # without --days, all that is not ahead of this clock


def test_a_log_without_events_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with (
        pytest.raises(FeedbackError, match=r"is not there: `python -m server --events FOLDER`"),
        opened(tmp_path / "x", ALL),
    ):
        pass
    with pytest.raises(FeedbackError, match="has no events"), opened(tmp_path, ALL):
        pass
    Log().write(tmp_path)
    with pytest.raises(FeedbackError, match="has no events"), opened(tmp_path, ALL):
        pass


def test_queries_leave_nothing_behind_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    log = Log()
    log.session("송금")
    log.write(tmp_path / "events")
    with opened(tmp_path / "events", ALL):
        (work,) = (tmp_path / "temporary").iterdir()
        assert work.stat().st_mode & 0o077 == 0
        assert not (work / "part.jsonl").exists()
    assert not any((tmp_path / "temporary").iterdir())


def test_a_log_that_is_larger_than_a_part_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedback.log.PART_BYTES", 1000)
    log = Log()
    for i in range(40):
        log.session(f"{i}", chosen=101)
        log.write(tmp_path)
    assert counts(tmp_path)["session"] == 40
    assert counts(tmp_path)["chosen"] == 40
