"""Any other Hugging Face encoder, wrapped whole: unpack to a padded grid, call the stock model, pool."""

from __future__ import annotations

import io
import warnings
from typing import Any

import onnx
import torch
from onnx import TensorProto, compose

from export.encoder.graph import OPSET, Graph, lay_out, pool


class _LastHiddenState(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        return states


def build(model: Any, pooling: str, normalize: bool, max_length: int) -> onnx.ModelProto:
    """The graph of a Hugging Face encoder without a packed form; see `export.graph` for inputs and output.

    Args:
        model: a `transformers` model that takes input_ids and attention_mask and returns last_hidden_state.
        pooling: mean, cls or max.
        normalize: whether embeddings are divided by their Euclidean length.
        max_length: the most tokens that the model takes.
    """
    inner = compose.add_prefix(_stock(model), "stock/")
    hidden = model.config.hidden_size
    g = Graph()
    layout = lay_out(g, model.config.vocab_size, max_length)
    mask = g.op("Cast", layout.real, to=TensorProto.INT64)
    # An item without a token (a client's doing) attends to its first cell, so that nothing divides by zero.
    position = g.op("Range", g.constant(0), layout.length, g.constant(1))
    mask = g.op("Where", g.op("Equal", position, g.constant(0)), g.constant(1), mask)
    ids, attention, states = (value.name for value in (*inner.graph.input, *inner.graph.output))
    g.nodes += [
        onnx.helper.make_node("Identity", [layout.grid], [ids]),
        onnx.helper.make_node("Identity", [mask], [attention]),
        *inner.graph.node,
    ]
    g.weights += inner.graph.initializer
    return g.model(pool(g, states, layout, pooling, normalize), hidden)


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
