"""The sides of a comparison do the same work: same vectors, same answers; and one comparison runs through."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import malgil
import numpy as np
import pytest

from benchmarks import shapes
from benchmarks.__main__ import main
from benchmarks.compare import framework, http_load, inprocess, lengths, padded, repositories, traffic
from benchmarks.compare.run import Bench
from server.launcher import Server

TEXTS = traffic.queries()[:24]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(runs=1, seconds=0.5, quick=True, folder=tmp_path_factory.mktemp("compare"))


@pytest.fixture(scope="module")
def fp32() -> Path:
    """The bundled encoder with the weights that PyTorch has, whatever serves by default on this machine."""
    return shapes.prepare(shapes.BUNDLED, precision="fp32")


@pytest.mark.live
@pytest.mark.slow
def test_every_way_of_padding_gives_the_vectors_of_the_packed_encoder(bench: Bench, fp32: Path) -> None:
    stock = padded.export(padded.bundled_weights(fp32))
    paths = inprocess.Paths.of(fp32)
    requests = traffic.requests(inprocess.token_ids(paths, TEXTS), traffic.uniform(12))
    with lengths.ways(bench, fp32, stock) as server:
        expected = lengths.vectors(server.grpc_url, lengths.PACKED, requests)
        for name in lengths.WAYS:
            found = lengths.vectors(server.grpc_url, name, requests)
            assert np.abs(found - expected).max() <= lengths.AGREEMENT, name


@pytest.fixture(scope="module")
def application(bench: Bench, fp32: Path) -> Iterator[str]:
    with framework.application(bench, padded.bundled_weights(fp32), repositories.index(fp32)) as url:
        yield url


@pytest.fixture(scope="module")
def fp32_server(bench: Bench, fp32: Path) -> Iterator[Server]:
    with bench.serving(fp32) as server:
        yield server


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.parametrize("route", framework.ROUTES.values())
def test_the_framework_finds_what_the_server_finds(application: str, fp32_server: Server, route: str) -> None:
    with malgil.SearchClient(fp32_server.grpc_url) as client:
        expected = client.search_many(TEXTS, top_k=1000, explain=True)
    for text, hits in zip(TEXTS, expected, strict=True):
        with urllib.request.urlopen(framework.application_request(f"{application}/{route}", text).url) as response:
            found = json.load(response)
        # By phrase, not by service, and by the cosine alone: the nearest phrase is that of the nearest service.
        assert found[0]["score"] == pytest.approx(max(hit.dense or 0 for hit in hits), abs=1e-3)


@pytest.mark.live
@pytest.mark.slow
def test_both_sides_of_the_framework_answer_the_same_load(application: str, fp32_server: Server) -> None:
    for request in (
        framework.triton_request(fp32_server.http_url, "송금"),
        framework.application_request(f"{application}/search-batched", "송금"),
    ):
        assert http_load.rate([request], clients=4, seconds=0.5, warm_up=0.1) > 0


@pytest.mark.live
def test_a_comparison_runs_alone_and_writes_its_ratio(tmp_path: Path) -> None:
    written = tmp_path / "compare.json"
    assert main(["compare", "--only", "d", "--quick", "--runs", "1", "--json", str(written)]) == 0
    (one,) = json.loads(written.read_text())
    assert (one["id"], one["target"], one["runs"]) == ("d", 1.6, 1)
    assert one["low"] == one["ratio"] == one["high"] > 0.3


@pytest.mark.parametrize("wrong", [["--only", "b"], ["--runs", "0"]])
def test_a_wrong_option_is_refused_in_one_sentence_before_anything_runs(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *wrong]) == 2
    refused = capsys.readouterr().err.strip()
    assert f"'{wrong[0]}'" in refused
    assert wrong[1] in refused
    assert len(refused.splitlines()) == 1
