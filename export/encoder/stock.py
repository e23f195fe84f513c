"""Any other Hugging Face encoder, wrapped whole: unpack to a padded grid, call the stock model, pool."""

from __future__ import annotations

import io
import warnings
from typing import Any

import onnx
import torch
from onnx import TensorProto, compose

from export.encoder.graph import OPSET, Graph
from export.encoder.groups import CELLS, Layout, in_groups, pool, read


class _LastHiddenState(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        return states


def build(model: Any, pooling: str, normalize: bool, max_length: int, dimension: int | None = None) -> onnx.ModelProto:
    """The graph of a Hugging Face encoder without a packed form; see `export.encoder.groups` for inputs and output.

    Args:
        model: a `transformers` model that takes input_ids and attention_mask and returns last_hidden_state.
        pooling: mean, cls or max.
        normalize: whether embeddings are divided by their Euclidean length.
        max_length: the most tokens that the model takes.
        dimension: how many numbers of an embedding are kept, from the first; all by default.
    """
    inner = compose.add_prefix(_stock(model), "stock/")
    dimension = dimension or model.config.hidden_size
    g = Graph()
    g.weights += inner.graph.initializer

    def embed_group(body: Graph, layout: Layout) -> str:
        mask = body.op("Cast", layout.real, to=TensorProto.INT64)
        # An item without a token (a client's doing) attends to its first cell, so that nothing divides by zero.
        position = body.op("Range", body.constant(0), layout.length, body.constant(1))
        mask = body.op("Where", body.op("Equal", position, body.constant(0)), body.constant(1), mask)
        ids, attention, states = (value.name for value in (*inner.graph.input, *inner.graph.output))
        body.nodes += [
            onnx.helper.make_node("Identity", [layout.grid], [ids]),
            onnx.helper.make_node("Identity", [mask], [attention]),
            *inner.graph.node,
        ]
        return pool(body, states, layout, pooling, normalize, dimension)

    items = read(g, model.config.vocab_size, max_length)
    return g.model(in_groups(g, items, dimension, CELLS, embed_group))


def _stock(model: Any) -> onnx.ModelProto:
    """The stock model as ONNX: ids [B, L], mask [B, L] → states [B, L, H]."""
    example = torch.ones(2, 7, dtype=torch.int64)
    buffer = io.BytesIO()
    model.set_attn_implementation("eager")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer's remarks on constants; parity is measured afterwards
        torch.onnx.export(
            _LastHiddenState(model).eval(),
            (example, example),
            buffer,
            input_names=["ids", "mask"],
            output_names=["states"],
            dynamic_axes={name: {0: "batch", 1: "length"} for name in ("ids", "mask", "states")},
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load_from_string(buffer.getvalue())
