"""Infinity's side of its comparison."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.compare import infinity
from benchmarks.compare.run import Bench
from server.triton import SetupError


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(runs=1, seconds=0.5, quick=True, folder=tmp_path)


@pytest.mark.slow
def test_an_environment_that_cannot_be_made_is_one_sentence_and_is_tried_again(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(infinity, "HOME", tmp_path / "environment")
    monkeypatch.setattr(infinity, "PACKAGES", (str(tmp_path / "no-such-package"),))
    for _ in range(2):
        with pytest.raises(SetupError, match=r"no-such-package cannot be installed into .*environment: ERROR"):
            infinity.environment(bench)


def test_an_environment_that_is_there_is_not_made_again(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(infinity, "HOME", tmp_path)
    (tmp_path / "ready").write_text("\n".join(infinity.PACKAGES))
    assert infinity.environment(bench) == tmp_path / "bin" / "python"


def test_infinity_gets_the_same_weights_in_a_form_that_it_reads(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "model.safetensors").write_bytes(b"weights")
    newer = {"max_seq_length": 512, "model_kwargs": {"add_pooling_layer": False}}
    (weights / "sentence_bert_config.json").write_text(json.dumps(newer))
    older = infinity.older_form(weights, tmp_path / "older")
    assert (older / "model.safetensors").samefile(weights / "model.safetensors")
    assert json.loads((older / "sentence_bert_config.json").read_text()) == {"max_seq_length": 512}
    assert json.loads((weights / "sentence_bert_config.json").read_text()) == newer
