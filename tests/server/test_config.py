"""What the drop-in ONNX Runtime backend makes of a config: honoured, or refused by name."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from google.protobuf import json_format, text_format  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2

from export import ROOT
from export.encoder import packed, stock
from tests.encoders import WINDOW, model
from tests.malformed import BOUNDED, error_of, odd_json

# By path, as Triton does: a backend's folder is no package.
sys.path.insert(0, str(ROOT / "server" / "backends" / "onnxruntime"))
settings, graph, batch = (importlib.import_module(name) for name in ("config", "graph", "batch"))
sys.path.pop(0)
CONFIG = ROOT / "model_repository" / "encoder" / "config.pbtxt"
SMALL = """
max_batch_size: 8
input [ { name: "ids" data_type: TYPE_INT64 dims: [ -1 ] allow_ragged_batch: true } ]
output [ { name: "out" data_type: TYPE_FP32 dims: [ -1 ] } ]
"""
PARAMETER = 'parameters {{ key: "{}" value: {{ string_value: "{}" }} }}'
LENGTHS = 'kind: BATCH_ITEM_SHAPE target_name: "lengths" data_type: TYPE_INT32 source_input: "ids"'


def as_triton_hands_it_over(text: str) -> dict[str, Any]:
    """A config.pbtxt as the dictionary that a backend gets; 64-bit numbers come as strings."""
    message = text_format.Parse(text, model_config_pb2.ModelConfig())
    config: dict[str, Any] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return config


def plan(text: str, kind: str = "KIND_CPU") -> Any:
    return settings.plan(as_triton_hands_it_over(text), kind)


def test_the_repository_s_own_encoder_loads() -> None:
    made = plan(CONFIG.read_text(encoding="utf-8"))
    assert (list(made.inputs), list(made.outputs), made.ragged) == (["input_ids"], ["embedding"], {"input_ids"})
    assert made.shapes == {"lengths": ("input_ids", "TYPE_INT32")}
    assert made.optimization == "ORT_ENABLE_ALL"
    assert (made.inter_op_threads, made.execution_mode) == (0, 0)
    assert (made.memory_arena, made.memory_pattern) == (True, True)
    assert (made.shrink_arena, made.max_ragged_elements) == (True, 64 * 512)


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_the_repository_s_config_fits_an_export_of_either_graph(tmp_path: Path, family: str) -> None:
    encoder, file = model(family, vocab_size=60), tmp_path / "model.onnx"
    packs = packed.fits(encoder.config)
    onnx.save(packed.build(encoder, "mean", True) if packs else stock.build(encoder, "mean", True, WINDOW), file)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    inputs, outputs = (
        {value.name: settings.Value.of(value.type, value.shape) for value in values}
        for values in (session.get_inputs(), session.get_outputs())
    )
    graph.check_graph(plan(CONFIG.read_text(encoding="utf-8")), inputs, outputs)


@pytest.mark.parametrize(("groups", "threads"), [("", 16), ("count: 1", 16), ("count: 3", 5), ("count: 40", 1)])
def test_instances_share_the_cores_instead_of_fighting_for_them(
    monkeypatch: pytest.MonkeyPatch, groups: str, threads: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)))
    text = SMALL + (f"instance_group [ {{ {groups} }} ]" if groups else "")
    assert plan(text).intra_op_threads == threads


def test_what_a_config_sets_is_what_runs() -> None:
    values = {
        "intra_op_thread_count": "2",
        "inter_op_thread_count": "1",
        "execution_mode": "1",
        "enable_mem_arena": "0",
        "enable_mem_pattern": "false",
        "max_ragged_elements": "512",
    }
    made = plan(SMALL + "\n".join(PARAMETER.format(*pair) for pair in values.items()))
    assert (made.intra_op_threads, made.inter_op_threads, made.execution_mode) == (2, 1, 1)
    assert (made.memory_arena, made.memory_pattern) == (False, False)
    assert (made.shrink_arena, made.max_ragged_elements) == (False, 512)
    assert plan(SMALL + PARAMETER.format("memory.enable_memory_arena_shrinkage", "cpu:0")).shrink_arena


@pytest.mark.parametrize(
    ("level", "name"),
    [(-1, "ORT_ENABLE_BASIC"), (0, "ORT_ENABLE_ALL"), (1, "ORT_ENABLE_EXTENDED"), (2, "ORT_DISABLE_ALL")],
)
def test_the_optimisation_level_means_what_it_means_to_triton(level: int, name: str) -> None:
    assert plan(SMALL + f"optimization {{ graph {{ level: {level} }} }}").optimization == name


@pytest.mark.parametrize(
    "harmless", ["", "model_transaction_policy {}", "optimization { priority: PRIORITY_MAX }", "dynamic_batching {}"]
)
def test_what_triton_itself_honours_is_not_refused(harmless: str) -> None:
    assert plan(SMALL + harmless).ragged == {"ids"}


@pytest.mark.parametrize("kind", ["CPU", "KIND_CPU", "AUTO", "KIND_AUTO"])
def test_an_instance_on_the_cpu_loads(kind: str) -> None:
    assert list(plan(SMALL, kind).inputs) == ["ids"]


@pytest.mark.parametrize("kind", ["GPU", "KIND_GPU", "MODEL"])
def test_an_instance_anywhere_else_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=f"^instance kind {kind}: "):
        plan(SMALL, kind)


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ("sequence_batching { max_sequence_idle_microseconds: 5 }", "sequence_batching"),
        ("model_transaction_policy { decoupled: true }", "model_transaction_policy"),
        ('model_operations { op_library_filename: "ops.so" }', "model_operations"),
        ('batch_output { target_name: "out" kind: BATCH_SCATTER_WITH_INPUT_SHAPE }', "batch_output"),
        ('model_warmup { name: "w" }', "model_warmup"),
        ('input { name: "x" data_type: TYPE_STRING dims: [ 1 ] }', "x: TYPE_STRING is not among TYPE_BOOL, "),
        ('output { name: "y" data_type: TYPE_BF16 dims: [ 1 ] }', "y: TYPE_BF16 is not among TYPE_BOOL, "),
        ('input { name: "x" data_type: TYPE_INT32 dims: [ 1 ] is_shape_tensor: true }', "x: is_shape_tensor"),
        ('input { name: "x" data_type: TYPE_INT32 dims: [ 1 ] optional: true }', "x: optional"),
        ('input { name: "x" data_type: TYPE_INT32 dims: [ 1 ] reshape { shape: [ ] } }', "x: reshape"),
        ('output { name: "y" data_type: TYPE_INT32 dims: [ 4 ] reshape { shape: [ 2, 2 ] } }', "y: reshape"),
        (PARAMETER.format("cudnn_conv_algo_search", "0"), "parameter cudnn_conv_algo_search"),
        (PARAMETER.format("intra_op_thread_count", "many"), "intra_op_thread_count is 'many'"),
        (PARAMETER.format("inter_op_thread_count", "²"), "inter_op_thread_count is '²'"),
        (PARAMETER.format("intra_op_thread_count", "-1"), "a whole number from 0$"),
        (PARAMETER.format("execution_mode", "2"), "a whole number from 0 to 1$"),
        (PARAMETER.format("memory.enable_memory_arena_shrinkage", "gpu:0"), "is 'gpu:0': it must be cpu:0$"),
        (
            PARAMETER.format("memory.enable_memory_arena_shrinkage", "cpu:0")
            + PARAMETER.format("enable_mem_arena", "0"),
            "without enable_mem_arena there is no arena",
        ),
        (
            'optimization { execution_accelerators { cpu_execution_accelerator { name: "openvino" } } }',
            "execution_accelerators",
        ),
        ("optimization { graph { level: 3 } }", "optimization graph level 3: it must be one of 0, -1, 1, 2"),
        (f"batch_input {{ {LENGTHS.replace('ITEM_SHAPE', 'ITEM_SHAPE_FLATTEN')} }}", "BATCH_ITEM_SHAPE_FLATTEN"),
        (f"batch_input {{ {LENGTHS.replace('BATCH_ITEM_SHAPE', 'BATCH_ELEMENT_COUNT')} }}", "BATCH_ELEMENT_COUNT"),
        (f"batch_input {{ {LENGTHS.replace('INT32', 'INT64')} }}", "TYPE_INT64: it must be TYPE_INT32 or TYPE_FP32"),
        (f'batch_input {{ {LENGTHS} target_name: "more" }}', "one target_name and one source_input"),
        (f'batch_input {{ {LENGTHS} source_input: "ids" }}', "one target_name and one source_input"),
        (f"batch_input {{ {LENGTHS.replace('ids', 'idz')} }}", "source_input idz: there is no such input"),
    ],
)  # fmt: skip
def test_what_this_backend_has_not_is_refused_by_name_before_it_answers_wrongly(more: str, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        plan(SMALL + more)


def test_a_model_that_does_not_batch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^max_batch_size 0: "):
        plan(SMALL.replace("8", "0"))


INT, FLOAT = "tensor(int64)", "tensor(float)"
GRAPH = {"ids": (INT, ["n"]), "lengths": ("tensor(int32)", ["b", 1]), "dense": (FLOAT, ["b", 2])}


def check(
    changed: dict[str, Any], out: tuple[str, list[Any]] = (FLOAT, ["b", "d"]), more: str = "", name: str = "out"
) -> None:
    """Check a graph that fits BOTH but for what is changed; None leaves an input out."""
    made = plan(BOTH + f"batch_input {{ {LENGTHS} }}" + more)
    inputs = {k: settings.Value.of(*value) for k, value in {**GRAPH, **changed}.items() if value}
    graph.check_graph(made, inputs, {name: settings.Value.of(*out), "not asked for": settings.Value.of(INT, [])})


def test_a_graph_that_the_c_backend_takes_is_taken() -> None:
    check({})
    check({"ids": (INT, [None]), "dense": (FLOAT, [None, None])}, (FLOAT, [None, None]))


@pytest.mark.parametrize(
    ("changed", "out", "sentence"),
    [
        (
            {},
            (FLOAT, ["batch", 384]),
            "model 'm', tensor 'out': the model expects 2 dimensions (shape [-1,384]) but the model configuration "
            "specifies 2 dimensions (an initial batch dimension because max_batch_size > 0 followed by the explicit "
            "tensor shape, making complete shape [-1,-1]). An encoder of an earlier version must be exported again: "
            "`python -m export encoder`.",
        ),
        ({}, (FLOAT, ["b"]), "tensor 'out': the model expects 1 dimensions (shape [-1])"),
        ({}, (FLOAT, [64, "d"]), "the first dimension must be -1; but shape expected by the model is [64,-1]"),
        ({}, (FLOAT, []), "at least 1 dimension and the first dimension must be -1; but shape expected by the model"),
        ({"dense": (FLOAT, ["b", 3])}, None, "tensor 'dense': the model expects 2 dimensions (shape [-1,3])"),
        ({"dense": (FLOAT, ["b"])}, None, "making complete shape [-1,2])"),
        (
            {"ids": (INT, ["b", "n"])},
            None,
            "unable to load model 'm', configuration expects model provides input with shape [-1]  for ragged input "
            "'ids', model provides [-1,-1]",
        ),
        ({"ids": (INT, [512])}, None, "for ragged input 'ids', model provides [512]"),
        (
            {"lengths": None},
            None,
            "unable to load model 'm', configuration expects 3 inputs, model provides 2",
        ),
        ({"mask": (INT, ["n"])}, None, "configuration expects 3 inputs, model provides 4"),
        (
            {"ids": None, "idz": (INT, ["n"])},
            None,
            "unexpected inference input 'ids', allowed inputs are: dense, idz, lengths",
        ),
        (
            {"ids": ("tensor(int32)", ["n"])},
            None,
            "configuration expects datatype TYPE_INT64 for input 'ids', model provides TYPE_INT32",
        ),
        ({}, ("tensor(float16)", ["b", "d"]), "datatype TYPE_FP32 for output 'out', model provides TYPE_FP16"),
        ({"lengths": None, "length": ("tensor(int32)", ["b", 1])}, None, "batch_input target_name lengths: the graph"),
        ({"lengths": (INT, ["b", 1])}, None, "batch_input lengths is TYPE_INT32: the graph takes TYPE_INT64"),
    ],
)
def test_what_the_c_backend_refuses_to_load_is_refused_here_in_its_words(
    changed: dict[str, Any], out: Any, sentence: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        check(changed, out or (FLOAT, ["b", "d"]), 'name: "m"')


def test_an_output_that_the_graph_has_not_is_refused_with_those_it_has() -> None:
    with pytest.raises(ValueError, match=r"^unexpected inference output 'out', allowed outputs are: not asked for, o$"):
        check({}, name="o")


BOTH = """
max_batch_size: 8
input [
  { name: "ids" data_type: TYPE_INT64 dims: [ -1 ] allow_ragged_batch: true },
  { name: "dense" data_type: TYPE_FP32 dims: [ 2 ] }
]
output [ { name: "out" data_type: TYPE_FP32 dims: [ -1 ] } ]
"""


def request(items: list[list[int]]) -> dict[str, Any]:
    """A request of len(items) items; their ids are of equal length, as Triton wants them."""
    return {"ids": np.array(items, dtype=np.int64), "dense": np.array([[item[0], -1] for item in items], np.float32)}


def test_ragged_inputs_lie_end_to_end_and_lengths_say_where_each_item_ends() -> None:
    made = plan(BOTH + f"batch_input {{ {LENGTHS} }}")
    feed = batch.join(made, [request([[1, 2, 3]]), request([[4], [5]]), request([[6, 7], [8, 9]])])
    assert feed["ids"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert feed["lengths"].tolist() == [[3], [1], [1], [2], [2]]
    assert feed["dense"].tolist() == [[1, -1], [4, -1], [5, -1], [6, -1], [8, -1]]
    assert {name: array.dtype for name, array in feed.items()} == {
        "ids": np.int64,
        "lengths": np.int32,
        "dense": np.float32,
    }


def test_lengths_come_in_the_type_the_graph_wants() -> None:
    made = plan(SMALL + f"batch_input {{ {LENGTHS.replace('INT32', 'FP32')} }}")
    feed = batch.join(made, [request([[1, 2]])])
    assert (feed["lengths"].tolist(), feed["lengths"].dtype) == ([[2.0]], np.float32)


def test_every_dimension_of_an_item_is_told() -> None:
    made = plan(SMALL + f"batch_input {{ {LENGTHS} }}")
    feed = batch.join(made, [{"ids": np.zeros((2, 3, 4), np.int64)}, {"ids": np.zeros((1, 5, 6), np.int64)}])
    assert feed["lengths"].tolist() == [[3, 4], [3, 4], [5, 6]]
    assert feed["ids"].shape == (54,)


def test_an_item_without_ids_keeps_its_place() -> None:
    made = plan(SMALL + f"batch_input {{ {LENGTHS} }}")
    feed = batch.join(made, [{"ids": np.zeros((1, 0), np.int64)}, {"ids": np.array([[1, 2]])}])
    assert (feed["ids"].tolist(), feed["lengths"].tolist()) == ([1, 2], [[0], [2]])


def test_a_single_request_is_passed_on_without_a_copy() -> None:
    made = plan(BOTH)
    alone = request([[1, 2, 3], [4, 5, 6]])
    feed = batch.join(made, [alone])
    for name in ("ids", "dense"):
        assert np.shares_memory(feed[name], alone[name])
    assert feed["ids"].shape == (6,)
    assert feed["dense"].shape == (2, 2)


@pytest.mark.parametrize("shape", [(2,), (1, 2, 1), ()])
def test_a_request_that_cannot_lie_beside_others_is_refused_in_a_sentence(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^ids has shape \[.*\]: it must have 2 dimensions, the batch first$"):
        batch.check_request(plan(SMALL), {"ids": np.zeros(shape, np.int64)})
    batch.check_request(plan(SMALL), {"ids": np.zeros((1, 2), np.int64)})


def test_a_request_without_ids_is_refused_alone_before_it_ends_the_batch() -> None:
    made = plan(SMALL)
    for shape in ((1, 0), (0, 3)):
        with pytest.raises(ValueError, match=r"^ids has shape \[.*\]: each item must hold at least one element$"):
            batch.check_request(made, {"ids": np.zeros(shape, np.int64)})
    batch.check_request(plan(SMALL.replace("allow_ragged_batch: true", "")), {"ids": np.zeros((1, 0), np.int64)})


def test_a_request_with_more_ids_than_the_config_allows_is_refused_by_name() -> None:
    made = plan(SMALL + PARAMETER.format("max_ragged_elements", "12"))
    batch.check_request(made, {"ids": np.zeros((3, 4), np.int64)})
    with pytest.raises(ValueError, match=r"^ids holds 15 elements: a request holds at most 12, padding included$"):
        batch.check_request(made, {"ids": np.zeros((3, 5), np.int64)})
    batch.check_request(plan(SMALL), {"ids": np.zeros((64, 8192), np.int64)})


def test_memory_is_given_back_after_long_texts_and_kept_for_the_next_short_ones() -> None:
    parameter = PARAMETER.format("memory.enable_memory_arena_shrinkage", "cpu:0")
    for text, length, expected in ((SMALL + parameter, 64, True), (SMALL + parameter, 63, False), (SMALL, 64, False)):
        made = plan(text + f"batch_input {{ {LENGTHS} }}")
        assert batch.shrinks(made, batch.join(made, [{"ids": np.zeros((1, length), np.int64)}] * 64)) == expected


@BOUNDED
@given(data=st.data())
def test_no_config_stops_the_backend_without_a_word(data: st.DataObject) -> None:
    values = {"intra_op_thread_count": "2", "execution_mode": "1", "enable_mem_arena": "false"}
    text = SMALL + f"batch_input {{ {LENGTHS} }}" + "optimization { graph { level: 1 } }"
    config = as_triton_hands_it_over(text + "\n".join(PARAMETER.format(*pair) for pair in values.items()))
    content = data.draw(odd_json({key: value for key, value in config.items() if value}))
    try:
        changed = json.loads(content)
    except (ValueError, RecursionError):  # Triton itself writes this JSON
        return
    error_of(lambda: settings.plan(changed, "KIND_CPU"), ValueError, runs)


def runs(made: Any) -> None:
    """What a batch takes from a plan."""
    tensors = [{name: np.zeros((1, 3), np.int64) for name in made.inputs}] * 2
    batch.join(made, tensors)
    assert isinstance(made.optimization, str)
    assert all(isinstance(name, str) for name in (*made.inputs, *made.outputs))
