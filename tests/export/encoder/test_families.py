"""Encoders of every family, from the directory that people have to the vectors that search compares."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from malgil_core.encoder import EncoderMetadata
from sentence_transformers import SentenceTransformer

from export.catalog import embedding
from export.encoder import export as encoder
from export.encoder import packed, parity, runner, stock
from export.encoder.precision import PRECISIONS
from export.encoder.source import UnsupportedEncoderError
from tests.encoders import PACKED, STOCK, WINDOW, every_node, model, save_plain, save_sentence_transformer, tokenizer

pytestmark = pytest.mark.usefixtures("one_thread")

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Run = Callable[[list[Ids]], Floats]

DESCRIBED = ("name", "family", "graph", "dimension", "max_length", "pooling")
TEXTS = ["송금", "ㅅㄱ", " 남은 용돈\t어디서  봐 ", "Apple PAY 등록", "모르는 낱말 쀍뷁", "이체 한도를 " * 40]
WRITTEN = ("encoder/1/model.onnx", "tokenizer/1/tokenizer.json", "tokenizer/1/encoder.json")


def reference(folder: Path, normalize: bool, prompt: str = "") -> Floats:
    """The texts' vectors by sentence-transformers."""
    loaded = SentenceTransformer(str(folder), device="cpu")
    loaded.max_seq_length = WINDOW
    vectors: Floats = loaded.encode(TEXTS, prompt=prompt, normalize_embeddings=normalize)
    return vectors


def assert_exported(folder: Path, repository: Path, normalize: bool, prompt: str = "") -> EncoderMetadata:
    """Export, and compare what was written with sentence-transformers; the metadata."""
    exported = encoder.export(str(folder), repository)
    assert len(exported.rows) == 5
    assert all(row.passed for row in exported.rows)
    vectors = embedding.offline(repository)(TEXTS)
    np.testing.assert_allclose(vectors, reference(folder, normalize, prompt), rtol=0, atol=1e-4)
    assert np.ptp(vectors, axis=0).max() > 0.2  # not all the same
    metadata = EncoderMetadata.of(repository)
    assert metadata == exported.metadata
    return metadata


@pytest.mark.parametrize("family", [*PACKED, *STOCK])
def test_a_plain_encoder_gives_the_vectors_it_gives_in_pytorch(tmp_path: Path, family: str) -> None:
    metadata = assert_exported(save_plain(tmp_path / family, family), tmp_path / "repository", normalize=True)
    described = {name: getattr(metadata, name) for name in DESCRIBED}
    assert described == {
        "name": family,
        "family": family,
        "graph": "packed" if family in PACKED else "stock",
        "dimension": 32,
        "max_length": WINDOW,
        "pooling": "mean",
    }


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("pooling", ["cls", "max", "mean"])
@pytest.mark.parametrize("family", ["electra", "distilbert"])
def test_pooling_and_normalisation_are_those_the_encoder_was_saved_with(
    tmp_path: Path, family: str, pooling: str, normalize: bool
) -> None:
    folder = save_sentence_transformer(tmp_path / "encoder", family, pooling, normalize)
    metadata = assert_exported(folder, tmp_path / "repository", normalize)
    assert (metadata.pooling, metadata.normalize) == (pooling, normalize)


def test_the_query_prompt_is_put_in_front_of_what_is_searched(tmp_path: Path) -> None:
    prompts = {"query": "질문: ", "passage": "문서: "}
    folder = save_sentence_transformer(tmp_path / "encoder", prompts=prompts, default_prompt_name="passage")
    metadata = assert_exported(folder, tmp_path / "repository", normalize=True, prompt="질문: ")
    assert metadata.prompts == prompts


@pytest.mark.parametrize("activation", ["relu", "gelu_new"])
def test_another_activation_gives_the_vectors_of_pytorch(tmp_path: Path, activation: str) -> None:
    folder = save_plain(tmp_path / "bert", "bert", hidden_act=activation)
    metadata = assert_exported(folder, tmp_path / "repository", normalize=True)
    assert metadata.graph == ("packed" if activation == "relu" else "stock")


@pytest.mark.parametrize("family", ["roberta", "mpnet", "bert"])
def test_a_tokenizer_that_knows_no_window_does_not_run_past_the_positions(tmp_path: Path, family: str) -> None:
    folder = save_plain(tmp_path / family, family)
    settings_file = folder / "tokenizer_config.json"
    config = json.loads(settings_file.read_text())
    del config["model_max_length"]
    settings_file.write_text(json.dumps(config))
    assert assert_exported(folder, tmp_path / "repository", normalize=True).max_length == WINDOW


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_the_same_encoder_exported_twice_keeps_its_vectors_and_another_prompt_does_not(
    tmp_path: Path, family: str
) -> None:
    folder = save_sentence_transformer(tmp_path / "encoder", family)
    fingerprints = [encoder.export(str(folder), tmp_path / name).metadata.fingerprint for name in ("one", "two")]
    settings_file = folder / "config_sentence_transformers.json"
    prompts = {"prompts": {"query": "질문: "}}
    settings_file.write_text(json.dumps(json.loads(settings_file.read_text()) | prompts))
    fingerprints.append(encoder.export(str(folder), tmp_path / "three").metadata.fingerprint)
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def written(repository: Path) -> dict[str, bytes]:
    """Every file of a repository."""
    return {
        path.relative_to(repository).as_posix(): path.read_bytes() for path in repository.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("bounds", [parity.Bounds(-1, 0, 1), parity.Bounds(1, 2, 1)])
def test_an_export_that_differs_from_pytorch_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bounds: parity.Bounds
) -> None:
    repository = tmp_path / "repository"
    encoder.export(str(save_plain(tmp_path / "bert", "bert")), repository)
    before = written(repository)
    assert set(before) == set(WRITTEN)
    monkeypatch.setitem(parity.BOUNDS, "fp32", bounds)
    with pytest.raises(
        encoder.ParityError, match=r"differs from electra \(alone; batches of 8; .* Nothing was replaced"
    ):
        encoder.export(str(save_plain(tmp_path / "electra", "electra")), repository)
    assert written(repository) == before


def test_an_export_that_is_interrupted_replaces_nothing(tmp_path: Path) -> None:
    def interrupt(row: parity.Row) -> None:
        raise KeyboardInterrupt

    repository = tmp_path / "repository"
    encoder.export(str(save_plain(tmp_path / "bert", "bert")), repository)
    before = written(repository)
    with pytest.raises(KeyboardInterrupt):
        encoder.export(str(save_plain(tmp_path / "electra", "electra")), repository, report=interrupt)
    assert written(repository) == before


@pytest.mark.parametrize("precision", PRECISIONS)
def test_weights_that_one_file_cannot_hold_go_to_a_second_with_a_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    folder, repository = save_plain(tmp_path / "bert", "bert"), tmp_path / "repository"
    whole = encoder.export(str(folder), tmp_path / "whole", precision=precision)
    expected = embedding.offline(tmp_path / "whole")(TEXTS)
    with monkeypatch.context() as small:
        small.setattr(encoder, "PROTOBUF_LIMIT", encoder.GRAPH_ROOM)
        exported = encoder.export(str(folder), repository, precision=precision)
        before = written(repository)
        assert set(before) == {*WRITTEN, "encoder/1/model.onnx.data"}
        for name, checksum in exported.metadata.files.items():
            (path,) = (path for path in before if path.endswith("/" + name))
            assert hashlib.sha256(before[path]).hexdigest() == checksum
        np.testing.assert_array_equal(embedding.offline(repository)(TEXTS), expected)
        small.setitem(parity.BOUNDS, precision, parity.Bounds(-1, 0, 1))
        with pytest.raises(encoder.ParityError):
            encoder.export(str(save_plain(tmp_path / "electra", "electra")), repository, precision=precision)
        assert written(repository) == before
    assert encoder.export(str(folder), repository, precision=precision).metadata == whole.metadata
    assert written(repository) == written(tmp_path / "whole")  # the second file is gone


def test_a_wrapped_encoder_that_one_file_cannot_hold_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "PROTOBUF_LIMIT", encoder.GRAPH_ROOM)
    with pytest.raises(UnsupportedEncoderError, match=r"^size: 0\.0 GiB of weights .* this mpnet encoder is wrapped"):
        encoder.export(str(save_plain(tmp_path / "mpnet", "mpnet")), tmp_path / "repository")
    assert not written(tmp_path / "repository")


def test_a_parity_that_is_not_a_number_does_not_pass() -> None:
    assert parity.Row("", 0.0, 1.0).passed
    assert not parity.Row("", float("nan"), 1.0).passed
    assert not parity.Row("", 0.0, float("nan")).passed


def graph(family: str, pooling: str, precision: str = "fp32") -> onnx.ModelProto:
    """The graph of a small encoder with 60 tokens."""
    made = model(family, vocab_size=60)
    if packed.fits(made.config):
        return packed.build(made, pooling, normalize=True, precision=precision)
    return stock.build(made, pooling, normalize=True, max_length=WINDOW)


@pytest.fixture(
    scope="module",
    params=[(family, pooling) for family in ("electra", "roberta", "distilbert") for pooling in ("cls", "max", "mean")],
    ids="-".join,
)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A function that embeds a batch of token ids as the server does."""
    file = tmp_path_factory.mktemp("graph") / "model.onnx"
    onnx.save(graph(*request.param), str(file))
    return runner.load(file)


def ids(*numbers: int) -> Ids:
    return np.array(numbers, dtype=np.int64)


GOOD = [ids(0, 7, 8, 2), ids(0, 59, 2), ids(*range(WINDOW))]


@pytest.mark.parametrize(
    "bad",
    [
        ids(0, 60, 2),
        ids(0, 2**62, 2),
        ids(*[5] * (WINDOW + 1)),
        ids(*[5] * (8 * WINDOW)),
        ids(-1, -1, -1),
        ids(-1, 7, 2),
    ],
    ids=["unknown", "absurd", "too long", "far too long", "padding alone", "padding first"],
)
def test_an_item_that_cannot_be_embedded_is_not_a_number_and_harms_no_neighbour(run: Run, bad: Ids) -> None:
    expected = np.concatenate([run([item]) for item in GOOD])
    for at in range(len(GOOD) + 1):
        batch = [*GOOD[:at], bad, *GOOD[at:]]
        vectors = run(batch)
        assert np.isnan(vectors[at]).all()
        np.testing.assert_allclose(np.delete(vectors, at, axis=0), expected, rtol=0, atol=1e-5)


def test_an_empty_item_makes_the_whole_batch_not_a_number_and_never_wrong(run: Run) -> None:
    # The C++ backend hands garbage over in place of the ids behind it.
    for at in range(len(GOOD) + 1):
        vectors = run([*GOOD[:at], ids(), *GOOD[at:]])
        assert len(vectors) == len(GOOD) + 1
        assert np.isnan(vectors).all()


def test_padding_between_tokens_is_dropped(run: Run) -> None:
    np.testing.assert_allclose(run([ids(0, -1, 7, -1, -1, 8, 2)]), run([ids(0, 7, 8, 2)]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch", [[ids()], [ids(), ids()], [ids(-1, -1)], [ids(), ids(-1)], [ids(-(2**63))]])
def test_a_batch_without_a_single_token_does_not_fail_but_is_not_a_number(run: Run, batch: list[Ids]) -> None:
    vectors = run(batch)
    assert len(vectors) == len(batch)
    assert np.isnan(vectors).all()


@pytest.mark.parametrize("padding", [1, 3, WINDOW, 4 * WINDOW])
def test_padding_changes_nothing_even_beyond_the_window(run: Run, padding: int) -> None:
    padded = [np.pad(item, (0, padding), constant_values=-1) for item in GOOD]
    np.testing.assert_allclose(run(padded), np.concatenate([run([item]) for item in GOOD]), rtol=0, atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(batch=st.lists(st.lists(st.integers(0, 59), min_size=1, max_size=WINDOW).map(np.array), min_size=1, max_size=9))
def test_a_text_has_the_same_vector_alone_and_in_any_batch(run: Run, batch: list[Ids]) -> None:
    alone = np.concatenate([run([item]) for item in batch])
    np.testing.assert_allclose(run(batch), alone, rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(alone, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("family", [*PACKED, *STOCK])
def test_every_triton_from_24_10_on_can_load_the_graph(family: str) -> None:
    made = graph(family, "mean")
    onnx.checker.check_model(made, full_check=True)
    assert made.ir_version <= 10
    assert [(opset.domain, opset.version) for opset in made.opset_import] == [("", 17)]
    assert {node.domain for node in every_node(made)} == {""}
    assert not made.functions
    kinds = onnx.TensorProto
    tensors = {
        value.name: (
            value.type.tensor_type.elem_type,
            [size.dim_value or size.dim_param for size in value.type.tensor_type.shape.dim],
        )
        for value in (*made.graph.input, *made.graph.output)
    }
    assert tensors == {
        "input_ids": (kinds.INT64, ["tokens"]),
        "lengths": (kinds.INT32, ["batch", 1]),
        "embedding": (kinds.FLOAT, ["batch", "width"]),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "shape"),
    [
        pytest.param(  # ko-sroberta
            "roberta",
            {"vocab_size": 32_000, "max_position_embeddings": 514, "type_vocab_size": 1},
            marks=pytest.mark.soak,
        ),
        (
            "electra",  # koelectra-small-v3
            {"vocab_size": 35_000, "embedding_size": 128, "hidden_size": 256, "num_attention_heads": 4}
            | {"intermediate_size": 1024, "max_position_embeddings": 512},
        ),
        pytest.param(  # bert-base-multilingual
            "bert", {"vocab_size": 119_547, "max_position_embeddings": 512}, marks=pytest.mark.soak
        ),
    ],
)
def test_an_encoder_of_full_shape_is_exported(tmp_path: Path, family: str, shape: dict[str, Any]) -> None:
    base = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
    cut = tokenizer(family)
    cut.model_max_length = 128
    folder, repository = tmp_path / family, tmp_path / "repository"
    model(family, **{**base, **shape}).save_pretrained(folder)
    cut.save_pretrained(folder)
    try:
        exported = encoder.export(str(folder), repository)
        assert all(row.passed for row in exported.rows)
        assert exported.metadata.dimension == {**base, **shape}["hidden_size"]
        assert exported.metadata.graph == "packed"
    finally:
        for file in tmp_path.rglob("*"):  # gigabytes, which pytest would keep for three runs
            if file.is_file():
                file.unlink()
        gc.collect()
