"""benchmarks/gpu.py, as far as it can be tried without a GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import ROOT


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--no-install", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.slow
def test_the_script_tests_measures_and_writes_what_a_reader_of_the_figures_needs(tmp_path: Path) -> None:
    written = tmp_path / "gpu.json"
    ended = run("--device", "cpu", "--quick", "--json", str(written))
    assert ended.returncode == 0, ended.stderr
    found = json.loads(written.read_text())
    assert found["tests"]["passed"] is True
    assert "passed" in found["tests"]["summary"]
    assert {(row["on"], row["batch"]) for row in found["scoring"]} == {
        ("torch, cpu", 1), ("torch, cpu", 64), ("CPU", 1), ("CPU", 64),
    }  # fmt: skip
    assert all(row["low"] <= row["ratio"] <= row["high"] for row in found["scoring"])
    assert {"card", "torch", "cuda", "machine", "code"} <= found.keys()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_instead_of_measuring_the_cpu(tmp_path: Path) -> None:
    ended = run("--json", str(tmp_path / "gpu.json"))
    assert ended.returncode == 1
    assert ended.stderr.strip() == "PyTorch finds no GPU: --device cpu tries the script without one"
    assert not list(tmp_path.iterdir())
