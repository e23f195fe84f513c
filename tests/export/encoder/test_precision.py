"""Other precisions: what an encoder may lose in float16 and int8, and what it may not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from export import __main__ as cli
from export.encoder import costs, packed, parity
from export.encoder import export as encoder
from export.encoder.precision import PRECISIONS, TINY, WEIGHT_STEPS, round_rows
from export.encoder.source import UnsupportedEncoderError
from tests.encoders import PACKED, model, save_plain

pytestmark = pytest.mark.usefixtures("one_thread")

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Run = Callable[[list[Ids]], Floats]
LOSSY = ("fp16", "int8")


def graph(family: str, precision: str, **settings: object) -> onnx.ModelProto:
    return packed.build(model(family, vocab_size=100, **settings), "mean", True, precision=precision)


def runner(made: onnx.ModelProto, file: Path) -> Run:
    onnx.save(made, file)
    return parity.onnx_runner(str(file))


def items(count: int = 40) -> list[Ids]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 100, size=rng.integers(1, 38)) for _ in range(count)]


@pytest.mark.parametrize("precision", LOSSY)
@pytest.mark.parametrize("family", PACKED)
def test_a_smaller_encoder_finds_what_the_whole_one_finds(tmp_path: Path, family: str, precision: str) -> None:
    bounds, batch = parity.BOUNDS[precision], items()
    whole, small = (runner(graph(family, p), tmp_path / f"{p}.onnx")(batch) for p in ("fp32", precision))
    assert (whole * small).sum(axis=1).min() >= bounds.cosine
    assert 0 < np.abs(whole - small).max() <= bounds.difference
    assert small.dtype == np.float32


@pytest.mark.parametrize("family", PACKED)
def test_the_company_a_text_keeps_does_not_move_its_int8_vector(tmp_path: Path, family: str) -> None:
    texts = items()
    run = runner(graph(family, "int8"), tmp_path / "model.onnx")
    alone = np.concatenate([run([text]) for text in texts])
    for size in (2, 7, 40):
        together = np.concatenate([run(texts[i : i + size]) for i in range(0, len(texts), size)])
        np.testing.assert_allclose(together, alone, rtol=0, atol=parity.BOUNDS["int8"].alone)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_runtime_that_triton_ships_knows_the_operators(precision: str) -> None:
    made = graph("bert", precision)
    onnx.checker.check_model(made, full_check=True)
    assert [(entry.domain, entry.version) for entry in made.opset_import] == [("", 17)]
    assert {node.domain for node in made.graph.node} == {""}


def test_an_int8_encoder_says_the_same_on_processors_that_add_products_in_16_bits() -> None:
    made = graph("electra", "int8")
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in made.graph.initializer}
    multiplied = [node for node in made.graph.node if node.op_type == "MatMulInteger"]
    assert len(multiplied) == 1 + 2 * 4  # the projection, and of each layer qkv, output and both of feed-forward
    for node in multiplied:
        weight = weights[node.input[1]]
        assert weight.dtype == np.int8
        assert 2 * 255 * int(np.abs(weight.astype(int)).max()) < 2**15
    assert not [node for node in made.graph.node if node.op_type == "Gemm"]


def test_softmax_and_pooling_stay_float32_in_a_float16_encoder() -> None:
    made = onnx.shape_inference.infer_shapes(graph("bert", "fp16"))
    kinds = {value.name: value.type.tensor_type.elem_type for value in made.graph.value_info}

    def taken(operator: str) -> set[int]:
        return {kinds[node.input[0]] for node in made.graph.node if node.op_type == operator}

    assert taken("Softmax") == taken("ReduceSum") == taken("ReduceL2") == {onnx.TensorProto.FLOAT}
    assert taken("Gemm") == taken("MatMul") == taken("LayerNormalization") == {onnx.TensorProto.FLOAT16}
    norms = [node for node in made.graph.node if node.op_type == "LayerNormalization"]
    # 1, float32, is what computes a norm inside where nothing else is asked for
    assert all(a.i == 1 for node in norms for a in node.attribute if a.name == "stash_type")


def test_a_token_whose_neurons_are_all_silent_does_not_make_an_int8_vector_nan(tmp_path: Path) -> None:
    silent = model("bert", vocab_size=100, hidden_act="relu")
    for layer in silent.encoder.layer:
        layer.intermediate.dense.bias.data -= 1_000  # ReLU leaves rows of zeros, and their scale divides
    whole, small = (
        runner(packed.build(silent, "mean", True, precision=p), tmp_path / f"{p}.onnx")(items())
        for p in ("fp32", "int8")
    )
    assert (whole * small).sum(axis=1).min() >= parity.BOUNDS["int8"].cosine


@given(hnp.arrays(np.float32, (5, 7), elements=st.floats(-1e4, 1e4, width=32)))
def test_a_rounded_weight_is_at_most_half_a_step_away(matrix: Floats) -> None:
    rounded, scale = round_rows(matrix, WEIGHT_STEPS)
    assert np.abs(rounded.astype(int)).max() <= WEIGHT_STEPS
    error = np.abs(rounded * scale[:, np.newaxis].astype(np.float64) - matrix)
    assert (error <= 0.5001 * scale[:, np.newaxis] + TINY).all()


@pytest.mark.parametrize("precision", LOSSY)
def test_an_encoder_that_is_wrapped_whole_is_refused_another_precision_by_name(tmp_path: Path, precision: str) -> None:
    with pytest.raises(UnsupportedEncoderError, match=f"precision {precision}: this mpnet encoder"):
        encoder.export(str(save_plain(tmp_path / "mpnet", "mpnet")), tmp_path / "repository", precision=precision)
    assert not list(tmp_path.glob("repository/**/model.onnx"))


def test_an_index_is_never_searched_with_another_precision_than_made_it(tmp_path: Path) -> None:
    folder = str(save_plain(tmp_path / "bert", "bert"))
    made = [encoder.export(folder, tmp_path / p, precision=p).metadata for p in PRECISIONS]
    assert [metadata["precision"] for metadata in made] == list(PRECISIONS)
    assert len({metadata["fingerprint"] for metadata in made}) == len(PRECISIONS)


def test_an_export_whose_vectors_move_with_their_batch_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(parity.BOUNDS, "int8", parity.Bounds(1, 0, -1))
    with pytest.raises(encoder.ParityError, match=r"\(alone against in a batch\): the bounds of int8 are"):
        encoder.export(str(save_plain(tmp_path / "bert", "bert")), tmp_path / "repository", precision="int8")
    assert not list(tmp_path.glob("repository/**/model.onnx"))


def test_the_export_says_what_int8_and_a_smaller_vocabulary_cost_and_save(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data" / costs.KORSTS
    data.parent.mkdir(parents=True)
    lines = ["genre\tfilename\tyear\tid\tscore\tsentence1\tsentence2"]
    lines += [f"g\tf\ty\t{i}\t{i}\t송금 {i}\t{'이체 한도' * i} {i}" for i in range(5)]
    data.write_text("\n".join(lines) + "\n", encoding="utf-8")
    folder = str(save_plain(tmp_path / "bert", "bert"))
    command = ["encoder", folder, "--repository", str(tmp_path / "repository"), "--precision", "int8"]

    assert cli.main([*command, "--data", str(tmp_path)]) == 1
    assert f"{costs.KORSTS} is missing" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "repository").exists()

    monkeypatch.setattr(costs, "ROUNDS", 2)
    monkeypatch.setattr(cli.CONSOLE, "width", 120)
    assert cli.main([*command, "--vocabulary", "ko", "--data", str(tmp_path / "data")]) == 0
    printed = capsys.readouterr().out
    for line in (
        "word pieces",
        "model.onnx, MiB",
        "load, s",
        "memory, MiB",
        "ms a text, alone",
        "32 a batch",
        "KorSTS",
    ):
        assert line in printed
    assert "alone against in a batch" in printed
    metadata = json.loads((tmp_path / "repository/tokenizer/1/encoder.json").read_text(encoding="utf-8"))
    assert (metadata["precision"], metadata["vocabulary"]) == ("int8", "ko")
