"""The tritonserver that is started: its allocator."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from server import stubs, triton
from server.launcher import Server
from tests.image import STAGES


def test_triton_and_its_stubs_allocate_with_jemalloc_so_that_triton_s_heap_damage_does_not_end_them(
    server: Server,
) -> None:
    processes = [psutil.Process(server.process.pid), *stubs.find(server.process.pid)]
    assert len(processes) == 8  # tokenizer, scorer, retriever, suggest, events, and two instances of the encoder
    for process in processes:
        assert any("libjemalloc" in mapped.path for mapped in process.memory_maps()), process
    assert not any("libjemalloc" in mapped.path for mapped in psutil.Process().memory_maps())


def test_the_image_has_a_jemalloc() -> None:
    assert any("libjemalloc2" in line for line in STAGES["serve"].values("RUN"))


def test_jemalloc_goes_before_what_is_preloaded_already_but_not_before_another_jemalloc(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    unpacked = tmp_path / "jemalloc" / "libjemalloc.so.2"
    unpacked.parent.mkdir()
    unpacked.touch()
    assert triton.preload({}, tmp_path) == {"LD_PRELOAD": str(unpacked)}
    assert triton.preload({"LD_PRELOAD": "libtcmalloc.so"}, tmp_path) == {"LD_PRELOAD": f"{unpacked}:libtcmalloc.so"}
    given = {"LD_PRELOAD": "/opt/libjemalloc.so.2"}
    assert triton.preload(dict(given), tmp_path) == given


def test_a_checkout_that_pip_s_triton_cannot_run_from_is_refused_with_its_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "prefix", "/home/user/새 폴더/malgil/.venv")
    with pytest.raises(
        triton.SetupError, match=r"in /home/user/새 폴더/malgil/.venv: move the checkout to an ASCII path"
    ):
        triton.find_home(tmp_path)
