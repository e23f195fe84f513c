"""The log of events: nothing that it took is lost but for the last interval, whatever disk and clock do."""

from __future__ import annotations

import os
import random
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from malgil_core.events import log as event_log
from malgil_core.events.log import Bounds, EventLog
from malgil_core.events.reading import Damage, lines, read, segments
from malgil_core.events.segment import OPEN

from export import ROOT

LINE = b'{"some": "event"}'


class Clock:
    """Seconds that are set."""

    def __init__(self, now: float = 1_764_421_500.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Told:
    """What a log counts and says."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.sentences: list[str] = []

    def count(self, status: str, number: int) -> None:
        self.counts[status] += number

    def say(self, level: str, sentence: str) -> None:
        self.sentences.append(f"{level}: {sentence}")


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "events"


@pytest.fixture
def make(folder: Path, told: Told) -> Iterator[Callable[..., EventLog]]:
    """Makes logs of the folder; nothing is written but by `flush`."""
    made: list[EventLog] = []

    def log(
        clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic, **bounds: float
    ) -> EventLog:
        made.append(EventLog(folder, Bounds(**bounds), told.count, told.say, clock, monotonic))  # type: ignore[arg-type]
        return made[-1]

    yield log
    for one in made:
        one.close()


def test_what_was_taken_is_on_the_disk_within_the_interval_and_the_caller_never_waits(
    make: Callable[..., EventLog], folder: Path, told: Told
) -> None:
    log = make(interval=0.2)
    log.start()
    for _ in range(5):
        started = time.monotonic()
        assert log.append([LINE, LINE])
        assert time.monotonic() - started < 0.1
        time.sleep(0.3)
        assert len(list(lines(folder))) == told.counts["written"]
    assert told.counts == {"written": 10}
    assert len(segments(folder)) == 1


def test_a_stop_loses_nothing_and_leaves_sealed_segments(make: Callable[..., EventLog], folder: Path) -> None:
    log = make(interval=3600)
    log.start()
    log.append([LINE] * 1000)
    assert not segments(folder)
    log.close()
    assert list(lines(folder)) == [LINE] * 1000
    assert not any(path.name.endswith(OPEN) for path in segments(folder))
    assert not log.append([LINE])


def test_a_segment_that_is_full_is_sealed_and_the_next_is_another(make: Callable[..., EventLog], folder: Path) -> None:
    log, written = make(segment_bytes=4096), []
    for number in range(20):
        noise = [random.Random(1000 * number + i).randbytes(40).hex().encode() for i in range(20)]
        log.append(noise)
        written += noise
        log.flush()
    paths = segments(folder)
    assert len(paths) > 3
    assert [path.name.endswith(OPEN) for path in paths].count(True) <= 1
    assert all(path.stat().st_size >= 4096 for path in paths if not path.name.endswith(OPEN))
    assert sorted(lines(folder)) == sorted(written)


def test_an_old_segment_is_sealed_though_nothing_more_comes(make: Callable[..., EventLog], folder: Path) -> None:
    monotonic = Clock(0)
    log = make(monotonic=monotonic, segment_seconds=600)
    log.append([LINE])
    log.flush()
    for monotonic.now, suffix in ((599, OPEN), (600, ".zst")):
        log.flush()
        assert [path.suffix for path in segments(folder)] == [suffix]


@pytest.mark.parametrize("jump", [-3600.0, -400 * 365 * 86400.0, 3600.0, 50 * 365 * 86400.0])
def test_a_clock_that_jumps_neither_loses_an_event_nor_seals_a_segment_early_or_never(
    make: Callable[..., EventLog], folder: Path, told: Told, jump: float
) -> None:
    clock, monotonic = Clock(), Clock(0)
    log = make(clock=clock, monotonic=monotonic, segment_seconds=600)
    log.append([LINE])
    log.flush()
    clock.now += jump
    log.append([LINE])
    log.flush()
    assert len(segments(folder)) == 1
    monotonic.now += 600
    log.append([LINE])
    log.flush()
    log.append([LINE])
    log.flush()
    assert len(segments(folder)) == 2
    assert list(lines(folder)) == [LINE] * 4
    assert told.counts == {"written": 4}
    assert not told.sentences


def test_many_writers_share_a_folder_without_losing_or_mixing_lines(
    make: Callable[..., EventLog], folder: Path
) -> None:
    logs = [make(interval=0.02, segment_bytes=2000) for _ in range(4)]
    for log in logs:
        log.start()

    def write(at: int) -> None:
        for number in range(300):
            logs[at].append([f"{at}:{number}:{'x' * 50}".encode()])
            time.sleep(0.0005)

    threads = [threading.Thread(target=write, args=(at,)) for at in range(len(logs))]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        damage = Damage()
        assert len({*lines(folder, damage)}) <= 1200
        assert damage == Damage()  # what is read meanwhile is whole lines
    for log in logs:
        log.close()
    found = list(lines(folder))
    assert sorted(found) == sorted(f"{at}:{number}:{'x' * 50}".encode() for at in range(4) for number in range(300))


def test_the_bound_of_the_folder_drops_and_counts_until_somebody_makes_room(
    make: Callable[..., EventLog], folder: Path, told: Told
) -> None:
    monotonic = Clock(0)
    log = make(monotonic=monotonic, folder_bytes=50_000)
    folder.mkdir(parents=True)
    others = folder / "2020-01-01T00-00-00Z-other-1-00000000.jsonl.zst"
    others.write_bytes(os.urandom(60_000))  # another server's
    log.flush()
    assert not log.append([LINE] * 3)
    assert told.counts == {"dropped": 3}
    monotonic.now += event_log.MEASURE_SECONDS
    log.flush()
    assert not log.append([LINE])
    others.unlink()
    monotonic.now += event_log.MEASURE_SECONDS
    log.flush()
    assert log.append([LINE])
    log.close()
    assert told.counts == {"dropped": 4, "written": 1}
    assert told.sentences == [
        f"error: events are dropped: {folder} holds 0.0476837 MiB or more, which is its bound",
        "info: events are written again; 4 were dropped",
    ]


def test_the_log_s_own_segments_count_for_the_bound_before_the_folder_is_looked_at_again(
    make: Callable[..., EventLog], told: Told
) -> None:
    log = make(monotonic=Clock(0), folder_bytes=20_000)
    for number in range(100):
        log.append([random.Random(number).randbytes(1000).hex().encode()])
        log.flush()
    assert 15 <= told.counts["written"] <= 40
    assert told.counts["written"] + told.counts["dropped"] == 100


def test_events_that_the_disk_does_not_keep_up_with_are_dropped_and_not_gathered_without_end(
    make: Callable[..., EventLog], told: Told
) -> None:
    log = make(waiting_bytes=1000)
    taken = sum(log.append([LINE]) for _ in range(1000))
    assert taken == 1000 // (len(LINE) + 1)
    log.flush()
    assert log.append([LINE])
    assert told.counts == {"dropped": 1000 - taken, "written": taken}


@pytest.fixture
def full() -> Iterator[Callable[[bool], None]]:
    """Makes every write to a file fail, as Linux does it, and lets it pass again."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def switch(on: bool) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0 if on else before[0], before[1]))

    yield switch
    switch(False)


def test_a_disk_that_refuses_writes_drops_what_comes_keeps_what_it_took_and_goes_on_when_there_is_room(
    make: Callable[..., EventLog], folder: Path, told: Told, full: Callable[[bool], None]
) -> None:
    log = make()
    log.append([b"before"])
    log.flush()
    full(True)
    assert log.append([b"taken"])  # not known yet
    log.flush()
    assert not log.append([b"dropped"])
    log.flush()
    full(False)
    log.flush()
    assert log.append([b"after"])
    log.flush()
    log.close()
    assert sorted(lines(folder)) == [b"after", b"before", b"taken"]
    assert told.counts == {"written": 3, "dropped": 1}
    assert told.sentences == [
        f"error: events are dropped: {folder} cannot be written to: File too large",
        "info: events are written again; 1 were dropped",
    ]


def test_a_disk_that_is_full_in_the_middle_of_a_write_leaves_whole_lines_and_each_event_once(
    make: Callable[..., EventLog], folder: Path, told: Told
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    log = make()
    written = [random.Random(number).randbytes(100).hex().encode() for number in range(100)]
    log.append(written[:20])
    log.flush()
    size = segments(folder)[0].stat().st_size
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1000, before[1]))  # a part of the next block
        log.append(written[20:])
        log.flush()
        assert segments(folder)[0].stat().st_size in (size, size + 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    log.flush()
    log.close()
    damage = Damage()
    assert sorted(lines(folder, damage)) == sorted(written)
    assert damage == Damage()
    assert told.counts["written"] == 100


def test_events_that_could_not_be_written_until_the_end_are_told(
    make: Callable[..., EventLog], told: Told, full: Callable[[bool], None]
) -> None:
    log = make()
    full(True)
    log.append([LINE] * 5)
    log.close()
    assert told.counts == {"dropped": 5}
    assert told.sentences[-1] == "error: 5 events were taken and could not be written"


def test_a_folder_that_cannot_be_made_is_tried_again_and_meanwhile_nothing_is_taken(
    make: Callable[..., EventLog], folder: Path, told: Told
) -> None:
    folder.parent.write_text("a file in the way")
    log = make()
    log.flush()
    assert not log.append([LINE])
    folder.parent.unlink()
    log.flush()
    assert log.append([LINE])
    log.close()
    assert list(lines(folder)) == [LINE]
    assert "cannot be written to: Not a directory" in told.sentences[0]


def test_a_folder_that_is_removed_while_events_come_is_made_again(
    make: Callable[..., EventLog], folder: Path, told: Told
) -> None:
    log = make()
    log.append([b"gone"])
    log.flush()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    log.append([b"kept"])
    log.flush()
    log.flush()
    log.close()
    assert list(lines(folder)) == [b"kept"]
    assert told.counts == {"written": 2}


TMPFS = """
mount -t tmpfs -o size=64k tmpfs "$1" || exit 77
"$2" -m tests.core.events.writer "$1/events" 0.2 4000 1
"$2" -c '
import sys
from pathlib import Path
from malgil_core.events.reading import Damage, read
damage = Damage()
print("read", len({event.search_id for event in read(Path(sys.argv[1]), damage)}), damage)
' "$1/events"
"""


@pytest.mark.slow
def test_a_file_system_without_room_drops_and_leaves_whole_lines(tmp_path: Path) -> None:
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", TMPFS, "sh", str(tmp_path), sys.executable],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    if done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip("this user may not mount a file system")
    assert "cannot be written to: No space left on device" in done.stdout, done.stdout + done.stderr
    assert "closed 4000" in done.stdout
    assert re.search(r"^read \d{3,4} Damage\(segments=0, lines=0\)$", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_killed_process_loses_no_event_that_was_due(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    due: set[tuple[int, int]] = set()
    for k in (1, 2, 3):
        with subprocess.Popen(
            [sys.executable, "-m", "tests.core.events.writer", str(tmp_path), "0.5", "1000000", str(k)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        ) as writer:  # fmt: skip
            assert writer.stdout
            first = writer.stdout.readline()
            threading.Timer(rng.uniform(0.1, 1.2), writer.send_signal, [signal.SIGKILL]).start()
            printed = [line.split() for line in (first, *writer.stdout) if line.endswith("\n")]
            due |= {(k, int(number)) for word, number in printed if word == "due"}
        damage = Damage()
        found = {(event.k, int(event.search_id, 16)) for event in read(tmp_path, damage)}
        assert due <= found
        assert damage.lines == 0
    assert len(segments(tmp_path)) == 3
    assert all(path.name.endswith(OPEN) for path in segments(tmp_path))
    assert len(due) > 50


def test_a_failing_sync_is_a_failed_write(
    make: Callable[..., EventLog], folder: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = make()
    log.append([b"first"])
    log.flush()

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:  # no disk here fails on demand
        patch.setattr(os, "fsync", fail)
        log.append([b"second"])
        log.flush()
        assert not log.append([b"dropped"])
    log.flush()
    log.close()
    assert sorted(lines(folder)) == [b"first", b"second"]
    assert told.counts == {"written": 2, "dropped": 1}
