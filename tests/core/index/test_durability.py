"""What is on disk, in which order: a power cut at any moment leaves the old generation or the new one, whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from malgil_core.index import history
from malgil_core.index.reader import folder_of
from malgil_core.index.writer import publish

from tests.index import CATALOG, ENCODER, embed

Step = tuple[str, Path]


def content(path: Path) -> object:
    """What a sync of this path makes last: a file's bytes, or a folder's entries."""
    return sorted(path.iterdir()) if path.is_dir() else path.read_bytes()


class Disk:
    """What was synced and renamed, and what each path held when it was synced last."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[Step] = []
        self.synced: dict[Path, object] = {}
        fsync, rename, replace = os.fsync, os.rename, os.replace

        def sync(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            fsync(descriptor)
            self.steps.append(("sync", path))
            self.synced[path] = content(path)

        def renaming(call: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
            def renamed(source: Path, target: Path) -> None:
                self.expect_durable(Path(source))
                call(source, target)
                self.steps.append(("rename", Path(target)))

            return renamed

        monkeypatch.setattr(os, "fsync", sync)
        monkeypatch.setattr(os, "rename", renaming(rename))
        monkeypatch.setattr(os, "replace", renaming(replace))

    def expect_durable(self, path: Path) -> None:
        """This path, and all that is in it, is on disk as it is now."""
        for each in (path, *path.rglob("*")):
            assert self.synced.get(each) == content(each), f"{each} was not synced before it was renamed"

    def order(self, *steps: Step) -> None:
        """These happened, the one after the other."""
        places = [self.steps.index(step) for step in steps]
        assert places == sorted(places), self.steps


def expect_order(disk: Disk, index: Path, number: int) -> None:
    """The order that docs/operations.md promises; that of the contents is checked at each rename."""
    disk.order(
        ("rename", folder_of(index, number)),
        ("sync", index / "generations"),
        ("sync", index / ".CURRENT.tmp"),
        ("rename", index / "CURRENT"),
        ("sync", index),
    )
    assert [kind for kind, _ in disk.steps].count("rename") == 2
    assert disk.synced[index / "generations"] == content(index / "generations")
    assert disk.synced[index] == content(index)


def test_a_publish_is_on_disk_before_it_is_named_and_named_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(CATALOG, tmp_path, ENCODER, embed)
    disk = Disk(monkeypatch)
    publish(CATALOG[:2], tmp_path, ENCODER, embed)
    expect_order(disk, tmp_path, 2)


def test_going_back_is_on_disk_before_it_is_named_and_named_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for services in (CATALOG, CATALOG[:2]):
        publish(services, tmp_path, ENCODER, embed)
    disk = Disk(monkeypatch)
    history.rollback(tmp_path, 1, ENCODER["fingerprint"])
    expect_order(disk, tmp_path, 3)


def test_the_folders_that_a_first_publish_makes_are_on_disk_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    publish(CATALOG, tmp_path / "deep" / "index", ENCODER, embed)
    for folder in (tmp_path, tmp_path / "deep", tmp_path / "deep" / "index"):
        assert disk.synced[folder] == content(folder)


def test_this_sees_a_file_that_was_not_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("malgil_core.index.writer._sync", lambda path: None)
    Disk(monkeypatch)
    with pytest.raises(AssertionError, match=r"vectors\.safetensors|\.000001\.tmp was not synced"):
        publish(CATALOG, tmp_path, ENCODER, embed)
