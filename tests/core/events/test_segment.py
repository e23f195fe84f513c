"""Segments: what a write that has returned survives, and what is left where it failed."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import zstandard
from malgil_core.events.reading import lines, lines_of
from malgil_core.events.segment import OPEN, SUFFIX, Segment, new_name, write_sealed

LINES = [b'{"a":1}', "송금".encode()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / f"a{SUFFIX}"


def test_lines_are_read_while_the_segment_is_open_and_after_it_is_sealed(path: Path) -> None:
    segment = Segment(path, 0)
    segment.write(LINES)
    open_path = path.with_name(path.name + OPEN)
    assert list(lines_of(open_path)) == LINES
    segment.write(LINES)
    assert open_path.stat().st_size == segment.size
    segment.seal()
    assert not open_path.exists()
    assert list(lines_of(path)) == LINES * 2
    assert list(lines_of(open_path)) == LINES * 2  # found while it was open
    assert zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read().count(b"\n") == 4


def test_other_tools_read_a_sealed_segment(path: Path) -> None:
    segment = Segment(path, 0)
    segment.write(LINES)
    segment.abandon()  # with the end that was put there by hand
    assert zstandard.ZstdDecompressor().decompress(path.read_bytes(), max_output_size=100) == b"".join(
        line + b"\n" for line in LINES
    )


def test_every_write_is_on_the_disk_before_it_returns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: dict[str, int] = {}
    fsync = os.fsync

    def sync(descriptor: int) -> None:
        fsync(descriptor)
        where = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced[str(where)] = len(list(where.iterdir())) if where.is_dir() else where.stat().st_size

    monkeypatch.setattr(os, "fsync", sync)
    segment = Segment(path, 0)
    assert synced == {str(path.parent): 1}  # its entry in the folder
    segment.write(LINES)
    assert synced[f"{path}{OPEN}"] == Path(f"{path}{OPEN}").stat().st_size > 0
    synced.clear()
    segment.seal()
    assert synced.keys() == {f"{path}{OPEN}", str(path.parent)}


def test_a_segment_that_somebody_removed_is_an_error_and_not_a_hole_that_swallows_events(path: Path) -> None:
    segment = Segment(path, 0)
    segment.write(LINES)
    Path(f"{path}{OPEN}").unlink()
    with pytest.raises(FileNotFoundError):
        segment.write(LINES)
    segment.abandon()
    assert not list(path.parent.iterdir())


def test_an_abandoned_segment_without_a_line_leaves_no_file(path: Path) -> None:
    Segment(path, 0).abandon()
    assert not list(path.parent.iterdir())


def test_no_descriptor_is_left_open(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for end in ("seal", "abandon"):
        segment = Segment(path.with_name(f"{end}{SUFFIX}"), 0)
        segment.write(LINES)
        getattr(segment, end)()
    with pytest.raises(FileNotFoundError):
        Segment(path.parent / "missing" / path.name, 0)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_two_segments_never_have_one_name_and_sort_by_time(path: Path) -> None:
    names = [new_name(at) for at in (0, 0, 1_764_421_500, -5)]
    assert len({*names}) == 4
    assert names[2].startswith("2025-11-29T13-05-00Z-")
    assert max(names) == names[2]
    assert all(
        re.fullmatch(rf"[0-9TZ-]+-[A-Za-z0-9.-]+-{os.getpid()}-[0-9a-f]{{8}}\.jsonl\.zst", name) for name in names
    )


def test_a_segment_is_replaced_whole_or_not_at_all(path: Path) -> None:
    write_sealed(path, LINES)
    before = path.read_bytes()

    def broken() -> object:
        yield LINES[0]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        write_sealed(path, broken())  # type: ignore[arg-type]
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    write_sealed(path, LINES[:1])
    assert list(lines(path.parent)) == LINES[:1]


def test_only_owner_and_group_read_what_people_did(path: Path) -> None:
    segment = Segment(path, 0)
    segment.write(LINES)
    segment.seal()
    write_sealed(path.with_name(f"b{SUFFIX}"), LINES)
    modes = subprocess.run(["stat", "-c", "%a", *path.parent.iterdir()], capture_output=True, text=True, check=True)
    assert all(mode.endswith("0") for mode in modes.stdout.split())
