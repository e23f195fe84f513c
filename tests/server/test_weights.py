"""Weights that instances share: the same vectors, in memory once, whatever happened to the one that wrote them."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import psutil
import pytest

from export import ROOT

BACKEND = ROOT / "server" / "backends" / "onnxruntime"
sys.path.insert(0, str(BACKEND))  # by path, as Triton does: a backend's folder is no package
weights = importlib.import_module("weights")
sys.path.pop(0)
IDS = np.array([5, 9, 12, 40, 7, 21], np.int64)


@pytest.fixture
def model(repository: Path) -> Path:
    return repository / "encoder" / "1" / "model.onnx"


def options() -> onnxruntime.SessionOptions:
    made = onnxruntime.SessionOptions()
    made.intra_op_num_threads = 1
    made.log_severity_level = 3
    return made


def session(model: Path) -> Any:
    return onnxruntime.InferenceSession(str(model), options(), providers=weights.PROVIDERS)


def vectors(model: Path) -> Any:
    lengths = np.array([[4], [2]], np.int32)
    return session(model).run(["embedding"], {"input_ids": IDS, "lengths": lengths})[0]


def test_vectors_are_the_same_to_the_bit_with_shared_weights(model: Path, tmp_path: Path) -> None:
    assert (vectors(weights.mapped(model, tmp_path / "a", options)) == vectors(model)).all()


def test_the_second_instance_takes_what_the_first_has_written(model: Path, tmp_path: Path) -> None:
    made = weights.mapped(model, tmp_path, options)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert weights.mapped(model, tmp_path, options) == made
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in before if name != "lock"} == {
        name: time for name, time in before.items() if name != "lock"
    }


def test_a_session_on_shared_weights_has_most_of_them_in_common_with_others(model: Path, tmp_path: Path) -> None:
    made = weights.mapped(model, tmp_path, options)
    loaded = session(made)
    maps = [one for one in psutil.Process().memory_maps() if Path(one.path).name == weights.WEIGHTS]
    assert loaded.get_inputs()
    assert sum(one.size for one in maps) > 0.9 * model.stat().st_size


def test_what_a_killed_instance_left_half_written_is_written_again(model: Path, tmp_path: Path) -> None:
    code = f"""
import os, signal, sys, threading, time
from pathlib import Path
sys.path.insert(0, {str(BACKEND)!r})
import onnxruntime, weights
file = Path({str(tmp_path)!r}, weights.WEIGHTS)
def kill():
    while not file.exists() or not file.stat().st_size:
        time.sleep(0.0005)
    os.kill(os.getpid(), signal.SIGKILL)
killer = threading.Thread(target=kill, daemon=True)
killer.start()
weights.mapped(Path({str(model)!r}), file.parent, onnxruntime.SessionOptions)
killer.join()
"""
    killed = subprocess.run([sys.executable, "-c", code], env={**os.environ}, check=False, timeout=60)
    assert killed.returncode == -9
    (tmp_path / "model.onnx").unlink(missing_ok=True)  # where it was killed just after
    assert (vectors(weights.mapped(model, tmp_path, options)) == vectors(model)).all()


def test_without_room_for_the_file_the_model_serves_all_the_same(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("a file where the folder would be")
    assert weights.mapped(model, tmp_path / "taken", options) == model
    assert "share no weights" in capsys.readouterr().err
