"""The packed graph of BERT, RoBERTa / XLM-R and ELECTRA encoders, from their PyTorch weights.

Linear layers, layer norms and feed-forward run on the packed tokens [T, H]; only attention gathers queries, keys and
values into the grid [B, L, ·] with a mask and scatters back. Standard ONNX operators alone.
Attention(Q, K, V) = softmax(Q·Kᵀ / √d)·V after Vaswani et al. 2017; the layers are those of Devlin et al. 2019.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from export.encoder.graph import Array, Graph, Layout, lay_out, pool
from export.encoder.precision import PRECISIONS, Float32

FAMILIES = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
ACTIVATIONS = ("gelu", "relu")
MASKED = -10_000.0  # exp of it is 0 in float32, and it fits float16


def fits(config: Any) -> bool:
    """Whether the model of this Hugging Face config gets the packed graph."""
    return (
        config.model_type in FAMILIES
        and config.hidden_act in ACTIVATIONS
        and getattr(config, "position_embedding_type", "absolute") in (None, "absolute")
        and not getattr(config, "is_decoder", False)
    )


def first_position(config: Any) -> int:
    """The position id of a text's first token: RoBERTa counts from its padding id + 1, BERT from 0."""
    return config.pad_token_id + 1 if config.model_type in ("roberta", "xlm-roberta", "camembert") else 0


def build(
    model: Any,
    pooling: str,
    normalize: bool,
    progress: Callable[[str], None] = lambda _: None,
    precision: str = "fp32",
) -> onnx.ModelProto:
    """The packed graph of a Hugging Face encoder.

    Args:
        model: a `transformers` model for which `fits(model.config)` holds, with float32 weights.
        pooling: mean, cls or max.
        normalize: whether embeddings are divided by their Euclidean length.
        progress: told which part is being built.
        precision: fp32, fp16 or int8; see `export.precision`.

    Returns:
        An ONNX model: input_ids int64 [T], lengths int32 [B, 1] → embedding float32 [B, hidden_size].
    """
    config = model.config
    weights: dict[str, Array] = {k: v.detach().float().numpy() for k, v in model.state_dict().items()}
    g = Graph()
    offset = first_position(config)
    layout = lay_out(g, config.vocab_size, config.max_position_embeddings - offset)
    builder = _Builder(g, weights, config, layout, PRECISIONS[precision](g, layout.rows))
    progress("embeddings")
    states = builder.embeddings(offset)
    for i in range(config.num_hidden_layers):
        progress(f"layer {i + 1} of {config.num_hidden_layers}")
        states = builder.layer(states, f"encoder.layer.{i}")
    grid = g.op("Gather", builder.numbers.wide(states), layout.cells)  # [B, L, H]
    return g.model(pool(g, grid, layout, pooling, normalize), config.hidden_size)


class _Builder:
    def __init__(self, g: Graph, weights: dict[str, Array], config: Any, layout: Layout, numbers: Float32) -> None:
        self.g, self.weights, self.config, self.layout, self.numbers = g, weights, config, layout, numbers
        shown = g.op("Unsqueeze", layout.real, g.constant([1]))  # [B, 1, L]
        self.bias = g.op("Where", shown, g.constant(0.0, np.float32), g.constant(MASKED, np.float32))

    def linear(self, x: str, name: str) -> str:
        return self.numbers.linear(x, name, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def norm(self, x: str, name: str) -> str:
        scale, bias = (
            self.g.weight(f"{name}.{part}", self.weights[f"{name}.{part}"].astype(self.numbers.dtype))
            for part in ("weight", "bias")
        )
        epsilon = self.config.layer_norm_eps
        return str(self.g.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=epsilon))

    def embeddings(self, offset: int) -> str:
        g, w = self.g, self.weights
        # Every token is of type 0, so its row is added to the positions once, here.
        table = w["embeddings.position_embeddings.weight"][offset:]
        table = table + w["embeddings.token_type_embeddings.weight"][0]
        positions = g.weight("embeddings.positions", table.astype(self.numbers.dtype))
        ids = g.op("Gather", g.op("Reshape", self.layout.grid, g.constant([-1])), self.layout.rows)
        position = g.op("Mod", self.layout.rows, self.layout.length)
        words = self.numbers.words("embeddings.words", w["embeddings.word_embeddings.weight"], ids)
        states = g.op("Add", words, g.op("Gather", positions, position))
        states = self.norm(states, "embeddings.LayerNorm")
        return self.linear(states, "embeddings_project") if "embeddings_project.weight" in w else states

    def layer(self, x: str, name: str) -> str:
        g = self.g
        attended = self.linear(self.attention(x, f"{name}.attention.self"), f"{name}.attention.output.dense")
        x = self.norm(g.op("Add", attended, x), f"{name}.attention.output.LayerNorm")
        inner = self.activation(self.linear(x, f"{name}.intermediate.dense"))
        return self.norm(g.op("Add", self.linear(inner, f"{name}.output.dense"), x), f"{name}.output.LayerNorm")

    def attention(self, x: str, name: str) -> str:
        g, w, heads = self.g, self.weights, self.config.num_attention_heads
        size = self.config.hidden_size // heads
        scale = size**-0.5  # into the query's weights: one pass less at run time
        named = [(f"{name}.query", scale), (f"{name}.key", 1.0), (f"{name}.value", 1.0)]
        weight = np.concatenate([w[f"{p}.weight"] * np.float32(s) for p, s in named])
        bias = np.concatenate([w[f"{p}.bias"] * np.float32(s) for p, s in named])
        # Heads go first while the tokens are still packed: the grid has several cells for each of them.
        qkv = g.op("Reshape", self.numbers.linear(x, name, weight, bias), g.constant([-1, 3 * heads, size]))
        parts = g.op("Split", g.op("Transpose", qkv, perm=[1, 0, 2]), outputs=3, axis=0)  # [heads, T, d] each
        q, k, v = (g.op("Gather", part, self.layout.cells, axis=1) for part in parts)  # [heads, B, L, d]
        k = g.op("Transpose", k, perm=[0, 1, 3, 2])  # onnxruntime takes it into the product
        scores = g.op("Add", self.numbers.wide(g.op("MatMul", q, k)), self.bias)
        shares = self.numbers.narrow(g.op("Softmax", scores, axis=-1))
        mixed = g.op("Reshape", g.op("MatMul", shares, v), g.constant([heads, -1, size]))
        mixed = g.op("Transpose", g.op("Gather", mixed, self.layout.rows, axis=1), perm=[1, 0, 2])  # [T, heads, d]
        return str(g.op("Reshape", mixed, g.constant([-1, self.config.hidden_size])))

    def activation(self, x: str) -> str:
        g, dtype = self.g, self.numbers.dtype
        if self.config.hidden_act == "relu":
            return str(g.op("Relu", x))
        # GELU(x) = x·½(1 + erf(x/√2)), Hendrycks & Gimpel 2016; onnxruntime fuses this form.
        erf = g.op("Erf", g.op("Div", x, g.constant(np.sqrt(2.0), dtype)))
        one_plus = g.op("Mul", x, g.op("Add", erf, g.constant(1.0, dtype)))
        return str(g.op("Mul", one_plus, g.constant(0.5, dtype)))
