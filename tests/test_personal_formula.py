"""The server's formula of a personal layer and the client's, which import nothing of each other, are one."""

from __future__ import annotations

import base64

import malgil._layer_bytes as of_client
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from malgil import LayerUpdate, PersonalLayer
from malgil import _personal as client_side
from malgil_core.ranking import personal as server_side
from malgil_core.ranking.topk import unit

ENCODER = "5" * 64


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([1, 2, 7, 384, 768, 1024]),
    st.integers(1, 70),
    st.sampled_from([1e-6, 0.1, 1.0]),
)
def test_a_device_and_a_server_move_a_query_to_the_same_bits(
    seed: int, dimension: int, batch: int, size: float
) -> None:
    rng = np.random.default_rng(seed)
    queries = unit(rng.normal(size=(batch, dimension)).astype(np.float32))
    scales = rng.uniform(-server_side.SCALE, server_side.SCALE, size=(batch, dimension))
    shifts = rng.normal(size=(batch, dimension))
    shifts *= server_side.SHIFT / np.linalg.norm(shifts, axis=1, keepdims=True)
    layers = (size * np.concatenate([scales, shifts], axis=1)).astype(np.float32)
    on_server = server_side.apply(queries, layers)
    on_device = np.stack([PersonalLayer(one).apply(query) for one, query in zip(layers, queries, strict=True)])
    assert on_server.tobytes() == on_device.tobytes()


def test_both_sides_have_the_same_bounds_and_header() -> None:
    assert (client_side.SCALE, client_side.SHIFT) == (server_side.SCALE, server_side.SHIFT)
    assert of_client.HEADER.format == server_side.HEADER.format
    assert (of_client.MAGIC, of_client.VERSION, of_client.LAYER) == (
        server_side.MAGIC, server_side.VERSION, server_side.LAYER,
    )  # fmt: skip


@pytest.mark.parametrize("dimension", [1, 2, 3, 384, 768])
def test_a_server_reads_what_a_client_writes(dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    layer = PersonalLayer.zero(dimension, encoder=ENCODER)
    for _ in range(5):
        shown = unit(rng.normal(size=(4, dimension)).astype(np.float32))
        layer.learn(shown[0], shown, 3)
    for data in (layer.to_bytes(), base64.b64encode(layer.to_bytes())):
        found = server_side.parse_layer(data, dimension, ENCODER)
        np.testing.assert_array_equal(np.zeros(2 * dimension) if found is None else found, layer.vector)
        with pytest.raises(
            ValueError, match=r"^personal is of encoder 555555555555, the one that serves is 777777777777"
        ):
            server_side.parse_layer(data, dimension, "7" * 64)
    update = LayerUpdate.of(layer, start=PersonalLayer.zero(dimension))
    with pytest.raises(ValueError, match=r"^personal is of kind 1, an update"):
        server_side.parse_layer(update.to_bytes(), dimension, ENCODER)
