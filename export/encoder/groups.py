"""What comes before and after every encoder's layers: reading a batch, running it in groups, pooling.

Every exported graph takes all tokens of a batch end to end, with the length of each item:

    input_ids  int64 [T]      ids of all items; ids below 0 are padding and dropped
    lengths    int32 [B, 1]   how many of those ids belong to each item
    embedding  float [B, D]

The items are sorted by length, and a loop inside the graph embeds them in groups of like length, each a grid of
at most `cells` cells [items × longest item] unless one item alone has more. So a long text makes no short one pay for
its length, attention never takes more memory than one text's, and what a layer hands to the next stays in the caches.

    input_ids  5 6 2 | 5 2 -1 | 5 7 8 9 2     three items; the second is padded to 3
    lengths    3 3 5  →  3 2 5 tokens, sorted 2 3 5 (items 1, 0, 2)
    cells = 8: 2 × 3 = 6 cells hold the first two, 3 × 5 = 15 would be too many: groups (1, 0) and (2)
    group 1    grid 5 2 · / 5 6 2, packed 5 2 5 6 2 at cells (rows) 0 1 3 4 5, positions 0 1 0 1 2

An id outside the vocabulary, an item longer than the position table, or one that does not begin with a token, makes
that item's embedding NaN: a Gather that fails would fail the whole batch, and neighbours with it.

An item of length 0 makes *every* embedding NaN. Triton's ONNX Runtime backend stops collecting a ragged input at a
request without ids, and the ids of the requests behind it are what the memory held before: wrong without a sign.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto, helper

from export.encoder.graph import Graph

# 64 short queries are one group. With more, what a layer hands to the next falls out of the processor's caches, and
# memory grows. CPU time over that of the same batch cut outside the graph, int8 of the bundled encoder, least of 4 on 2
# busy cores: 64 of 6 to 80 tokens 0.95 to 1.08 with 384, 512, 768, 1,024 and 1,536 cells; 64 short ones, four of them
# of 75 tokens, 0.96 to 1.05. `python -m benchmarks mixed-lengths` measures the one that is set.
CELLS = 768
GPU_CELLS = 4096  # a GPU has more to fill, and no such caches; not measured
LAST = 2**31 - 1  # the end of a slice that has none


@dataclass(frozen=True)
class Items:
    """The items of a batch, padding dropped."""

    ids: str  # int64 [R + 1]: the ids of all items end to end, and a 0 behind them
    order: str  # int64 [B]: which item is the 1st, 2nd, … by size
    starts: str  # int64 [B]: where in `ids` the item begins, in that order
    sizes: str  # int64 [B]: how many ids it has, in that order; 0 for an item that cannot be embedded
    unknown: str  # bool [B, 1]: the item cannot be embedded, in the order they came


@dataclass(frozen=True)
class Layout:
    """Where each token of a group lies, packed [T] and as a grid [B, L] of the longest item's length L."""

    grid: str  # int64 [B, L]: ids, 0 where there is no token
    real: str  # bool [B, L]: there is a token here
    length: str  # int64 scalar: L, at least 1
    rows: str  # int64 [T]: the cell of the flattened grid that each token lies in
    cells: str  # int64 [B, L]: the packed row of each cell's token, 0 where there is none


def read(g: Graph, vocabulary: int, max_positions: int) -> Items:
    """Read `input_ids` and `lengths`, drop padding, and sort the items by size."""
    lengths = g.op("Reshape", g.op("Cast", "lengths", to=TensorProto.INT64), g.constant([-1]))  # [B]
    ends = g.op("CumSum", lengths, g.constant(0))
    starts = g.op("Sub", ends, lengths)

    def counted(condition: str) -> str:
        """How often a condition [T] holds before each id, and in all: [T + 1]."""
        times = g.op("CumSum", g.op("Cast", condition, to=TensorProto.INT64), g.constant(0))
        return str(g.op("Concat", g.constant([0]), times, axis=0))

    token = g.op("GreaterOrEqual", "input_ids", g.constant(0))
    tokens = counted(token)
    foreign = counted(g.op("GreaterOrEqual", "input_ids", g.constant(vocabulary)))
    before = g.op("Gather", tokens, starts)
    size = g.op("Sub", g.op("Gather", tokens, ends), before)
    # The first id is a token: counted, because an empty item at the end has no first id to look at.
    second = g.op("Min", ends, g.op("Add", starts, g.constant(1)))
    begins = g.op("Greater", g.op("Gather", tokens, second), before)
    in_vocabulary = g.op("Equal", g.op("Gather", foreign, starts), g.op("Gather", foreign, ends))
    in_window = g.op("LessOrEqual", size, g.constant(max_positions))
    known = g.op("And", g.op("And", begins, in_vocabulary), in_window)
    size = g.op("Where", known, size, g.constant(0))
    sizes, order = g.op("TopK", size, g.op("Shape", size), largest=0, sorted=1, axis=0, outputs=2)
    real = g.op("Squeeze", g.op("NonZero", token), g.constant([0]))
    ids = g.op("Concat", g.op("Gather", "input_ids", real), g.constant([0]), axis=0)
    empty = g.op("Equal", g.op("ReduceMin", lengths, axes=[0], keepdims=1), g.constant(0))  # [1]
    unknown = g.op("Unsqueeze", g.op("Or", g.op("Not", known), empty), g.constant([1]))
    return Items(ids, order, g.op("Gather", before, order), sizes, unknown)


def in_groups(g: Graph, items: Items, dimension: int, cells: int, embed_group: Callable[[Graph, Layout], str]) -> str:
    """Embed the items group by group, to [B, D] in the order they came.

    Args:
        g: the graph.
        items: what to embed.
        dimension: D.
        cells: the most cells of a group's grid; one item alone may have more.
        embed_group: adds to a loop's body what makes embeddings [b, D] of a group's layout.
    """
    body = Graph(g)
    done, embedded = "done", "embedded"  # int64 [1]: items so far; float [done, D]
    # As the items are sorted, the cells that a group takes grow with each item that joins it.
    batch = g.op("Shape", items.sizes)
    places = g.op("Range", g.constant(0), g.op("Squeeze", batch, g.constant([0])), g.constant(1))  # [B]
    count = body.op("Add", body.op("Sub", places, done), body.constant(1))  # the items of a group that ends here
    fits = body.op("LessOrEqual", body.op("Mul", count, items.sizes), body.constant(cells))
    first = body.op("LessOrEqual", count, body.constant(1))  # whatever its size, an item fits alone
    last = body.op("ReduceSum", body.op("Cast", body.op("Or", fits, first), to=TensorProto.INT64), keepdims=1)
    sizes, starts = (body.op("Slice", values, done, last) for values in (items.sizes, items.starts))
    new = body.op("Concat", embedded, embed_group(body, _lay_out(body, items.ids, starts, sizes)), axis=0)
    more = body.op("Squeeze", body.op("Less", last, batch), body.constant([0]))
    carried = {
        done: helper.make_tensor_type_proto(TensorProto.INT64, [1]),
        embedded: helper.make_tensor_type_proto(TensorProto.FLOAT, [None, None]),
    }
    loop = body.as_body("iteration", "going_on", carried, more, last, new)
    none = g.constant(np.zeros((0, dimension)), np.float32)
    _, embedding = g.op("Loop", "", g.constant(True, np.bool_), g.constant([0]), none, body=loop, outputs=2)
    place = g.op("ScatterElements", items.order, items.order, places)
    embedding = g.op("Gather", embedding, place)
    return str(g.op("Where", items.unknown, g.constant(np.nan, np.float32), embedding))


def _lay_out(g: Graph, ids: str, starts: str, sizes: str) -> Layout:
    """Map the packed rows of a group to grid cells and back."""
    starts, sizes = (g.op("Unsqueeze", values, g.constant([1])) for values in (starts, sizes))  # [B, 1]
    longest = g.op("ReduceMax", sizes, keepdims=0)
    length = g.op("Max", longest, g.constant(1))  # a group may hold no id at all, but no grid is empty
    position = g.op("Range", g.constant(0), length, g.constant(1))  # [L]
    real = g.op("Less", position, sizes)  # [B, L]
    grid = g.op("Gather", ids, g.op("Where", real, g.op("Add", starts, position), g.constant(-1)))
    flat = g.op("Cast", g.op("Reshape", real, g.constant([-1])), to=TensorProto.INT64)
    # The first cell counts as a token even where there is none, so that a group without tokens has a row to gather.
    flat = g.op("Concat", g.constant([1]), g.op("Slice", flat, g.constant([1]), g.constant([LAST])), axis=0)
    rows = g.op("Squeeze", g.op("NonZero", flat), g.constant([0]))
    nth = g.op("Sub", g.op("CumSum", flat, g.constant(0)), g.constant(1))
    nth = g.op("Reshape", nth, g.op("Shape", real))
    return Layout(grid, real, length, rows, g.op("Where", real, nth, g.constant(0)))


def pool(g: Graph, states: str, layout: Layout, pooling: str, normalize: bool, dimension: int) -> str:
    """Pool hidden states [B, L, H] over each item's tokens to [B, D], the first D of H numbers.

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
    # Before the length: sentence-transformers normalises once more after it has truncated.
    pooled = g.op("Slice", pooled, g.constant([0]), g.constant([dimension]), g.constant([1]))
    if normalize:
        size = g.op("ReduceL2", pooled, axes=[1], keepdims=1)
        pooled = g.op("Div", pooled, g.op("Max", size, g.constant(1e-12, np.float32)))
    return str(pooled)
