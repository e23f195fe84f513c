"""How the packed graph stores and multiplies an encoder's numbers: float32, float16 for GPUs, or int8 for CPUs.

int8 is dynamic: weights are rounded once, per output channel, and activations as they come, **per token**. A scale of
its own for each token is what makes a text answer the same alone as in any batch; with one scale for the whole tensor,
as stock dynamic quantisation has it, a neighbour's outlier moves it (1.2e-2 was seen). For a token's row x_t and an
output's weights w_n, with the scales s_t = max|x_t| / 127 and c_n = max|w_n| / 63:

    q_ti = round(x_ti / s_t) + 128 in 1…255      p_ni = round(w_ni / c_n) in -63…63
    y_tn = c_n · s_t · Σ_i (q_ti - 128)·p_ni + b_n

The sum is of integers, so its order does not matter. All else must be the same to the last bit, or a rounding tips and
the vector moves by as much as int8 costs: onnxruntime computes a token's row alike in every batch (each export checks
it), but another version or processor need not. Positions, layer norms, attention and pooling stay in float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from export.encoder.graph import Array, Graph

# Unsigned activations and signed weights are the pair that processors multiply by four (VNNI); onnxruntime is 20 times
# slower on signed ones, where it knows them at all.
ZERO = 128
ACTIVATION_STEPS = 127
# Seven bits: without VNNI, onnxruntime adds two products in 16 bits, and 2·255·63 is below 2¹⁵ where 2·255·127 is not.
# So none saturates. The eighth bit moved KorSTS by less than 0.12 points, now up, now down.
WEIGHT_STEPS = 63
WORD_STEPS = 127  # the word table is looked up, not multiplied
TINY = 1e-30  # the scale of weights that are all 0: not 0 itself, which divides


class Float32:
    """What the source says, number by number.

    Attributes:
        dtype: of the states between softmax and pooling, which are float32 always; see `wide` and `narrow`.
    """

    dtype: type[np.generic] = np.float32

    def __init__(self, g: Graph, tokens: str) -> None:
        """For one graph; `tokens` is any value of shape [T]."""
        self.g, self.tokens = g, tokens

    def linear(self, x: str, name: str, weight: Array, bias: Array) -> str:
        """x [T, in] · weight [out, in] transposed + bias [out] → [T, out]."""
        # Gemm wants PyTorch's [out, in] transposed; stored so once, here.
        w = self.g.weight(f"{name}.weight", weight.T.astype(self.dtype))
        return str(self.g.op("Gemm", x, w, self.g.weight(f"{name}.bias", bias.astype(self.dtype))))

    def words(self, name: str, table: Array, ids: str) -> str:
        """The rows `ids` int64 [T] of the word table [V, E] → [T, E]."""
        return str(self.g.op("Gather", self.g.weight(name, table.astype(self.dtype)), ids))

    def wide(self, x: str) -> str:
        """A state as float32, for softmax and pooling."""
        return x

    def narrow(self, x: str) -> str:
        """A float32 value as a state."""
        return x


class Float16(Float32):
    """Half the size, and the tensor cores of a GPU. Layer norms compute in float32 inside (stash_type 1)."""

    dtype = np.float16

    def wide(self, x: str) -> str:
        """A float16 state as float32."""
        return str(self.g.op("Cast", x, to=TensorProto.FLOAT))

    def narrow(self, x: str) -> str:
        """A float32 value as float16."""
        return str(self.g.op("Cast", x, to=TensorProto.FLOAT16))


class Int8(Float32):
    """A quarter of the size, and integer products, for CPUs."""

    def __init__(self, g: Graph, tokens: str) -> None:
        super().__init__(g, tokens)
        # QuantizeLinear wants as many zero points as scales: one for each token.
        self.zeros = g.op("Expand", g.constant([ZERO], np.uint8), g.op("Shape", tokens))

    def linear(self, x: str, name: str, weight: Array, bias: Array) -> str:
        """As Float32's, through integers; see the module's formula."""
        g = self.g
        largest = g.op("ReduceMax", g.op("Abs", x), axes=[1], keepdims=0)
        # [T]; 0 for a row of zeros, which become any integers, and all of them 0 again with the same scale.
        scale = g.op("Mul", largest, g.constant(1 / ACTIVATION_STEPS, np.float32))
        quantised = g.op("QuantizeLinear", x, scale, self.zeros, axis=0)
        rounded, channel = round_rows(weight, WEIGHT_STEPS)
        total = g.op("MatMulInteger", quantised, g.weight(f"{name}.weight", rounded.T), g.constant(ZERO, np.uint8))
        # One pass for the cast and the token's scale; then the channel's, and the bias, which onnxruntime fuses on.
        y = g.op("Mul", g.op("DequantizeLinear", total, scale, axis=0), g.weight(f"{name}.scale", channel))
        return str(g.op("Add", y, g.weight(f"{name}.bias", bias)))

    def words(self, name: str, table: Array, ids: str) -> str:
        """As Float32's, from a table of int8 with a scale for each word."""
        g = self.g
        rounded, scale = round_rows(table, WORD_STEPS)
        rows = g.op("Cast", g.op("Gather", g.weight(name, rounded), ids), to=TensorProto.FLOAT)
        return str(g.op("Mul", rows, g.op("Gather", g.weight(f"{name}.scale", scale[:, np.newaxis]), ids)))


PRECISIONS: dict[str, type[Float32]] = {"fp32": Float32, "fp16": Float16, "int8": Int8}


def round_rows(matrix: Array, steps: int) -> tuple[Array, Array]:
    """Float [N, M] to int8 [N, M] in -steps…steps and a float32 scale [N] that gives it back."""
    scale = np.maximum(np.abs(matrix).max(axis=1) / steps, TINY).astype(np.float32)
    rounded: Any = np.rint(matrix / scale[:, np.newaxis])
    return rounded.astype(np.int8), scale
