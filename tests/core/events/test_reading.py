"""Reading the log: damage costs the lines that are damaged, and no others."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
import zstandard
from malgil_core.events.reading import Damage, lines, read, seal, segments
from malgil_core.events.segment import OPEN, SUFFIX, Segment, write_sealed
from malgil_core.limits import ABANDONED_SECONDS

from tests.events import abandoned, chosen, search, shown

EVENTS = [search(query="송금"), shown(), chosen(), abandoned()]
LINES = [event.as_json() for event in EVENTS]


def noise(seed: int, count: int = 200) -> list[bytes]:
    return [random.Random(1000 * seed + i).randbytes(50).hex().encode() for i in range(count)]


def written(path: Path, *writes: list[bytes]) -> list[int]:
    """Write a segment without sealing it; its size after each write."""
    segment = Segment(path, 0)
    sizes = []
    for one in writes:
        segment.write(one)
        sizes.append(segment.size)
    return sizes


def test_events_come_back_in_the_order_of_their_segments(tmp_path: Path) -> None:
    write_sealed(tmp_path / f"2025-02{SUFFIX}", LINES[2:])
    write_sealed(tmp_path / f"2025-01{SUFFIX}", LINES[:2])
    damage = Damage()
    assert list(read(tmp_path, damage)) == EVENTS
    assert damage == Damage()


def test_a_folder_that_is_not_there_yet_holds_no_events(tmp_path: Path) -> None:
    assert list(read(tmp_path / "missing")) == []


def test_a_line_that_is_no_event_is_counted_and_the_others_are_read(tmp_path: Path) -> None:
    write_sealed(tmp_path / f"a{SUFFIX}", [LINES[0], b"", b"{}", b"\xff\xfe", b"[" * 5000, LINES[1]])
    damage = Damage()
    assert list(read(tmp_path, damage)) == EVENTS[:2]
    assert damage == Damage(segments=0, lines=4)


def test_a_segment_cut_anywhere_gives_every_line_of_the_whole_writes_before_the_cut(tmp_path: Path) -> None:
    path = tmp_path / f"a{SUFFIX}"
    writes = [noise(seed) for seed in range(4)]
    sizes = written(path, *writes)
    whole = Path(f"{path}{OPEN}").read_bytes()
    everything = [line for one in writes for line in one]
    rng = random.Random(1)
    for cut in [0, 1, 5, *sizes, *(size - 1 for size in sizes), *(rng.randrange(len(whole)) for _ in range(60))]:
        Path(f"{path}{OPEN}").write_bytes(whole[:cut])
        damage = Damage()
        found = list(lines(tmp_path, damage))
        assert found == everything[: len(found)]
        assert len(found) >= sum(len(one) for one, size in zip(writes, sizes, strict=True) if size <= cut)
        if cut in sizes:
            assert damage == Damage()


def test_a_segment_that_is_overwritten_with_something_else_harms_no_other(tmp_path: Path) -> None:
    for name in "abc":
        write_sealed(tmp_path / f"{name}{SUFFIX}", LINES)
    path = tmp_path / f"b{SUFFIX}"
    content = path.read_bytes()
    rng = random.Random(2)
    for _ in range(100):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 9)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged[: rng.randint(1, len(damaged))] + rng.randbytes(rng.choice([0, 30])))
        found = list(read(tmp_path))
        assert found[:4] == EVENTS
        assert found[-4:] == EVENTS
    path.write_bytes(b"not zstd at all")
    damage = Damage()
    assert list(read(tmp_path, damage)) == EVENTS * 2
    assert damage.segments == 1


def test_a_line_without_an_end_is_not_gathered_without_end(tmp_path: Path) -> None:
    (tmp_path / f"a{SUFFIX}").write_bytes(zstandard.ZstdCompressor().compress(LINES[0] + b"\n" + b"x" * 2**24))
    damage = Damage()
    assert list(lines(tmp_path, damage)) == LINES[:1]
    assert damage.segments == 1


def test_other_files_of_the_folder_are_no_segments(tmp_path: Path) -> None:
    for name in ("notes.txt", f".a{SUFFIX}.1234.tmp", f".b{SUFFIX}", f"a{SUFFIX}.bak", f"{SUFFIX}"):
        (tmp_path / name).write_bytes(b"?")
    assert segments(tmp_path) == []


def test_a_crash_between_sealing_and_removing_does_not_double_events(tmp_path: Path) -> None:
    path = tmp_path / f"a{SUFFIX}"
    written(path, LINES)
    write_sealed(path, LINES)
    assert segments(tmp_path) == [path]
    assert list(read(tmp_path)) == EVENTS
    assert seal(tmp_path, older_than=-1) == [path]
    assert list(tmp_path.iterdir()) == [path]


def test_only_segments_that_nobody_writes_any_more_are_sealed_and_none_of_their_lines_is_lost(tmp_path: Path) -> None:
    old, new = tmp_path / f"a{SUFFIX}", tmp_path / f"b{SUFFIX}"
    (size, _) = written(old, LINES, noise(1))
    written(new, LINES)
    left = Path(f"{old}{OPEN}")
    left.write_bytes(left.read_bytes()[: size + 100])  # killed while it wrote
    past = time.time() - ABANDONED_SECONDS - 1
    os.utime(left, (past, past))
    assert seal(tmp_path) == [old]
    assert [path.name for path in segments(tmp_path)] == [old.name, f"{new.name}{OPEN}"]
    damage = Damage()
    assert list(read(tmp_path, damage)) == EVENTS * 2
    assert damage == Damage()


def test_a_segment_that_is_sealed_while_a_reader_is_on_its_way_is_read(tmp_path: Path) -> None:
    path = tmp_path / f"a{SUFFIX}"
    segment = Segment(path, 0)
    segment.write(LINES)
    reading = lines(tmp_path)
    assert next(reading) == LINES[0]  # of the open one
    segment.write(LINES)
    segment.seal()
    assert [LINES[0], *reading] in (LINES, LINES * 2)


@pytest.mark.parametrize("frames", [1, 3])
def test_frames_that_were_put_together_are_read_as_one_segment(tmp_path: Path, frames: int) -> None:
    packed = zstandard.ZstdCompressor().compress(b"".join(line + b"\n" for line in LINES))
    (tmp_path / f"a{SUFFIX}").write_bytes(packed * frames)
    assert list(read(tmp_path)) == EVENTS * frames
