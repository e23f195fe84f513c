"""Building ONNX graphs by hand: a small builder, and what comes before and after every encoder.

The packed graph (DESIGN section 4) takes all tokens of a batch end to end, with the length of each item:

    input_ids  int64 [T]      ids of all items; ids below 0 are padding and dropped
    lengths    int32 [B, 1]   how many of those ids belong to each item
    embedding  float [B, D]

An id outside the vocabulary, an item longer than the position table, or one that does not begin with a token, makes
that item's embedding NaN: a Gather that fails would fail the whole batch, and neighbours with it. Nor does a long item
widen the grid beyond the position table: attention takes its square.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17  # with IR 8, loads in every Triton from 24.10 on
IR_VERSION = 8
LAST = 2**31 - 1  # the end of a slice that has none
Array = npt.NDArray[Any]


class Graph:
    """Nodes and weights in the order they were added; values are known by name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; its output's name, or a list of names where there are several."""
        names = [f"{kind}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def weight(self, name: str, array: Array) -> str:
        """Add a weight under its own name."""
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def constant(self, value: Any, dtype: type[np.generic] = np.int64) -> str:
        """A small constant, shared among all who ask for the same."""
        array = np.asarray(value, dtype=dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.weight(f"constant_{len(self._constants)}", array)
        return self._constants[key]

    def model(self, embedding: str, dimension: int, opset: int = OPSET) -> onnx.ModelProto:
        """The finished model, with `embedding` as its only output."""
        self.nodes.append(helper.make_node("Identity", [embedding], ["embedding"]))
        graph = helper.make_graph(
            self.nodes,
            "encoder",
            [
                helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["tokens"]),
                helper.make_tensor_value_info("lengths", TensorProto.INT32, ["batch", 1]),
            ],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", dimension])],
            self.weights,
        )
        return helper.make_model(
            graph,
            producer_name="malgil",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", opset)],
        )


@dataclass(frozen=True)
class Layout:
    """Where each token of a batch lies, packed [T] and as a grid [B, L] of the longest item's length L."""

    grid: str  # int64 [B, L]: ids, 0 where there is no token
    real: str  # bool [B, L]: there is a token here
    length: str  # int64 scalar: L, never more than there are positions
    rows: str  # int64 [T]: the cell of the flattened grid that each token lies in
    cells: str  # int64 [B, L]: the packed row of each cell's token, 0 where there is none
    unknown: str  # bool [B, 1]: the item cannot be embedded


def lay_out(g: Graph, vocabulary: int, max_positions: int) -> Layout:
    """Read `input_ids` and `lengths`, drop padding, and map packed rows to grid cells and back."""
    lengths = g.op("Cast", "lengths", to=TensorProto.INT64)  # [B, 1]
    ends = g.op("CumSum", lengths, g.constant(0))
    starts = g.op("Sub", ends, lengths)

    def counted(condition: str) -> str:
        """How often a condition [T] holds before each id, and in all: [T + 1]."""
        times = g.op("CumSum", g.op("Cast", condition, to=TensorProto.INT64), g.constant(0))
        return str(g.op("Concat", g.constant([0]), times, axis=0))

    tokens = counted(g.op("GreaterOrEqual", "input_ids", g.constant(0)))
    out_of_vocabulary = counted(g.op("GreaterOrEqual", "input_ids", g.constant(vocabulary)))
    first, last = (g.op("Min", ends, g.op("Add", starts, g.constant(n))) for n in (1, max_positions))
    no_token, in_vocabulary, short = (
        g.op("Equal", g.op("Gather", count, one), g.op("Gather", count, other))
        for count, one, other in (
            (tokens, starts, first),
            (out_of_vocabulary, starts, ends),
            (tokens, last, ends),  # padding may lie beyond, tokens not
        )
    )
    unknown = g.op("Or", no_token, g.op("Not", g.op("And", in_vocabulary, short)))
    longest = g.op("Min", g.op("ReduceMax", lengths, keepdims=0), g.constant(max_positions))
    length = g.op("Max", longest, g.constant(1))  # a batch may hold no id at all, but no grid is empty
    position = g.op("Range", g.constant(0), length, g.constant(1))  # [L]
    inside = g.op("Less", position, lengths)  # [B, L]
    source = g.op("Where", inside, g.op("Add", starts, position), g.constant(0))
    ids = g.op("Gather", g.op("Concat", "input_ids", g.constant([-1]), axis=0), source)
    real = g.op("And", inside, g.op("GreaterOrEqual", ids, g.constant(0)))
    grid = g.op("Where", g.op("And", real, g.op("Less", ids, g.constant(vocabulary))), ids, g.constant(0))
    flat = g.op("Cast", g.op("Reshape", real, g.constant([-1])), to=TensorProto.INT64)
    # The first cell counts as a token even where there is none, so that a batch without tokens has a row to gather.
    flat = g.op("Concat", g.constant([1]), g.op("Slice", flat, g.constant([1]), g.constant([LAST])), axis=0)
    rows = g.op("Squeeze", g.op("NonZero", flat), g.constant([0]))
    nth = g.op("Sub", g.op("CumSum", flat, g.constant(0)), g.constant(1))
    shape = g.op("Shape", real)
    cells = g.op("Where", real, g.op("Reshape", nth, shape), g.constant(0))
    return Layout(grid, real, length, rows, cells, unknown)


def pool(g: Graph, states: str, layout: Layout, pooling: str, normalize: bool) -> str:
    """Pool hidden states [B, L, H] over each item's tokens to [B, H].

    Mean, cls and max are those of sentence-transformers' Pooling; `normalize` divides by the Euclidean length.
    """
    present = g.op("Unsqueeze", layout.real, g.constant([2]))  # [B, L, 1]
    if pooling == "cls":
        pooled = g.op("Gather", states, g.constant(0), axis=1)
    elif pooling == "max":
        shown = g.op("Where", present, states, g.constant(np.finfo(np.float32).min, np.float32))
        pooled = g.op("ReduceMax", shown, axes=[1], keepdims=0)
    elif pooling == "mean":
        shown = g.op("Where", present, states, g.constant(0.0, np.float32))
        total = g.op("ReduceSum", shown, g.constant([1]), keepdims=0)
        count = g.op("ReduceSum", g.op("Cast", present, to=TensorProto.FLOAT), g.constant([1]), keepdims=0)
        pooled = g.op("Div", total, g.op("Max", count, g.constant(1.0, np.float32)))
    else:
        raise ValueError(f"pooling {pooling!r} is not one of mean, cls, max")
    if normalize:
        size = g.op("ReduceL2", pooled, axes=[1], keepdims=1)
        pooled = g.op("Div", pooled, g.op("Max", size, g.constant(1e-12, np.float32)))
    return str(g.op("Where", layout.unknown, g.constant(np.nan, np.float32), pooled))
