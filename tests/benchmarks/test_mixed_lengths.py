"""The benchmark of mixed lengths measures the graph against the runs that it names."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from malgil_core.encoder import EncoderMetadata

from benchmarks import mixed_lengths
from benchmarks.__main__ import main
from benchmarks.options import CONSOLE
from export.encoder import packed
from tests.encoders import model


@given(lengths=st.lists(st.integers(1, 2000), min_size=1, max_size=64))
def test_the_baseline_runs_every_text_once_and_cuts_between_lengths(lengths: list[int]) -> None:
    cut = mixed_lengths.runs(lengths)
    assert sorted(i for run in cut for i in run) == list(range(len(lengths)))
    sizes = [[lengths[i] for i in run] for run in cut]
    assert [size for run in sizes for size in run] == sorted(lengths)
    for run in sizes:
        assert len(run) == 1 or sum(run) <= mixed_lengths.RUN_TOKENS
        assert len(run) == 1 or len(run) * run[-1] <= mixed_lengths.RUN_CELLS


def test_the_command_shows_each_kind_of_batch_and_the_precision(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CONSOLE, "width", 120)
    made = packed.build(model("bert", vocab_size=20_000, max_position_embeddings=512), "mean", True)
    (tmp_path / "encoder" / "1").mkdir(parents=True)
    onnx.save(made, tmp_path / "encoder" / "1" / "model.onnx")
    (tmp_path / "tokenizer" / "1").mkdir(parents=True)
    shutil.copy2(repository / "tokenizer" / "1" / "encoder.json", tmp_path / "tokenizer" / "1")
    assert main(["mixed-lengths", "--repository", str(tmp_path), "--rounds", "1"]) == 0
    shown = capsys.readouterr().out
    assert all(batch in shown for batch in mixed_lengths.batches())
    assert EncoderMetadata.of(tmp_path).precision in shown
    assert main(["mixed-lengths", "--repository", str(tmp_path / "none")]) == 1


def test_both_ways_embed_the_same_vectors(tmp_path: Path) -> None:
    made = packed.build(model("bert", vocab_size=20_000, max_position_embeddings=512), "mean", True)
    onnx.save(made, tmp_path / "model.onnx")
    rows = mixed_lengths.measure(tmp_path / "model.onnx", rounds=1, threads=1)
    assert [row.batch for row in rows] == list(mixed_lengths.batches())
    for row in rows:
        assert row.difference <= 1e-5
        assert min(row.runs_ms, row.elapsed, row.cpu) > 0
    memory = mixed_lengths.measure_memory(tmp_path / "model.onnx", items=2, tokens=64)
    assert memory.rest > 10
    assert memory.peak >= memory.after
