"""`python -m benchmarks personal`: layers are really sent and used, and the page says what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from malgil_core.index.reader import current, folder_of, load
from malgil_core.ranking.personal import parse_layer

from benchmarks import personal
from benchmarks.__main__ import main
from benchmarks.personal import page, random_layers
from server.launcher import Server
from tests.live import infer, texts


def test_the_layers_that_are_measured_are_taken_by_a_server_and_change_answers(server: Server, index: Path) -> None:
    from tritonclient import grpc

    number = current(index)
    assert number is not None
    generation = load(folder_of(index, number))
    layers = random_layers(generation.dimension, generation.encoder, 8)
    assert len({layer.to_bytes() for layer in layers}) == 8
    assert all(parse_layer(one.to_bytes(), generation.dimension, generation.encoder) is not None for one in layers)
    with grpc.InferenceServerClient(server.grpc_url) as client:
        plain = infer(client, "search", query=texts(["한도"]))["score"]
        for layer in layers:
            own = infer(client, "search", query=texts(["한도"]), personal=texts([layer.to_bytes()]))["score"]
            assert not np.array_equal(own, plain)


@pytest.mark.slow
def test_pairs_batches_and_learning_are_measured_and_told(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal, "BATCHES", {1: 4, 64: 4})
    file = tmp_path / "personal.json"
    command = ["personal", "--turns", "2", "--requests", "200", "--clients", "16", "--url", server.grpc_url]
    assert main([*command, "--note", "Busy.", "--json", str(file)]) == 0
    result = json.loads(file.read_text(encoding="utf-8"))
    assert [one["name"] for one in result["throughput"]] == list(personal.SIDES)
    assert all(0 < one["low"] <= one["median"] <= one["high"] and one["turns"] == 2 for one in result["throughput"])
    assert [one["batch"] for one in result["batches"]] == [1, 64]
    assert all(0.3 < one["ratio"]["median"] < 20 for one in result["batches"])
    written = file.with_suffix(".md").read_text(encoding="utf-8")
    assert written == page(result)
    assert "Busy." in written
    assert f"{result['throughput'][0]['median']:.3f}" in written
