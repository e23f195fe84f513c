"""The personal layer on the device: its bytes, its bounds, and what it learns."""

from __future__ import annotations

import struct
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from malgil import PersonalLayer
from malgil._personal import SCALE, SHIFT
from numpy.typing import NDArray

ENCODER = "5" * 64
Floats = NDArray[np.float32]


def units(rng: np.random.Generator, *shape: int, closeness: float = 0.0) -> Floats:
    """Unit vectors; `closeness` 4 puts them as near to each other as those of the bundled encoder."""
    made: Any = rng.normal(size=shape) + closeness
    return np.asarray(made / np.linalg.norm(made, axis=-1, keepdims=True), dtype=np.float32)


def learned(seed: int = 0, steps: int = 20, dimension: int = 16) -> PersonalLayer:
    """A layer after some choices."""
    rng = np.random.default_rng(seed)
    layer = PersonalLayer.zero(dimension, encoder=ENCODER)
    for _ in range(steps):
        layer.learn(units(rng, dimension), units(rng, 5, dimension), int(rng.integers(5)))
    return layer


def test_a_layer_of_768_dimensions_is_6144_bytes_of_numbers_and_a_header_of_48() -> None:
    data = PersonalLayer.zero(768, encoder=ENCODER).to_bytes()
    assert len(data) == 6144 + 48
    assert data[48:] == bytes(6144)


def test_a_layer_comes_back_from_its_bytes_as_it_was() -> None:
    layer = learned()
    again = PersonalLayer.from_bytes(layer.to_bytes(), encoder=ENCODER)
    assert again == layer
    assert again.to_bytes() == layer.to_bytes()
    assert (again.dimension, again.encoder) == (16, ENCODER)
    assert PersonalLayer.from_bytes(layer.to_bytes()).encoder == ENCODER


def test_a_layer_of_another_encoder_is_refused() -> None:
    with pytest.raises(ValueError, match=rf"^encoder: the layer is of {'5' * 12}, not of {'7' * 12}: start a new one$"):
        PersonalLayer.from_bytes(learned().to_bytes(), encoder="7" * 64)
    assert PersonalLayer.from_bytes(PersonalLayer.zero(4).to_bytes(), encoder="7" * 64).encoder == ""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda data: data[:-1], "175 bytes, a layer of dimension 16 has 176"),
        (lambda data: data[:40], "40 bytes without the header of a layer"),
        (lambda data: b"PK\3\4" + data[4:], "176 bytes without the header of a layer"),
        (lambda data: data[:4] + b"\2" + data[5:], "version 2, this reads 1"),
        (lambda data: data[:5] + b"\1" + data[6:], "an update, not a layer"),
        (
            lambda data: data[:8] + struct.pack("<I", 2**32 - 1) + data[12:],
            "176 bytes, a layer of dimension 4294967295",
        ),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "damaged, the checksum"),
        (lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:], "damaged, the checksum"),
    ],
)
def test_damaged_bytes_are_refused_in_a_sentence(change: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"^data: ") as refused:
        PersonalLayer.from_bytes(change(learned().to_bytes()))
    assert sentence in str(refused.value)


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^data: "):
        PersonalLayer.from_bytes(data)


@pytest.mark.parametrize(
    ("vector", "sentence"),
    [
        ([], "a layer has 2·D numbers"),
        ([0.0] * 3, "a layer has 2·D numbers"),
        ([[0.0, 0.0]], "a layer has 2·D numbers"),
        ([np.nan, 0.0], "all must be finite"),
        ([0.0, np.inf], "all must be finite"),
        ([0.26, 0.0], "scales a coordinate by 0.26, at most 0.25"),
        ([0.0, 0.0, 0.15, -0.15], "a shift of length 0.2121, at most 0.2"),
    ],
)
def test_numbers_that_a_server_would_refuse_are_refused_here(vector: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"^vector: ") as refused:
        PersonalLayer(vector)
    assert sentence in str(refused.value)


def test_a_wrong_encoder_or_dimension_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^encoder: 'e5' is not a fingerprint of 64"):
        PersonalLayer.zero(4, encoder="e5")
    with pytest.raises(TypeError, match=r"^encoder must be str"):
        PersonalLayer.zero(4, encoder=b"")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^dimension: 0 is below 1"):
        PersonalLayer.zero(0)
    with pytest.raises(TypeError, match=r"^dimension must be int"):
        PersonalLayer.zero(2.0)  # type: ignore[arg-type]


def test_a_layer_of_zeros_leaves_a_query_to_the_bit() -> None:
    query = units(np.random.default_rng(0), 384)
    assert PersonalLayer.zero(384).apply(query).tobytes() == query.tobytes()


@pytest.mark.parametrize("closeness", [0.0, 4.0])
@pytest.mark.parametrize("with_scores", [False, True])
def test_what_is_chosen_time_and_again_comes_first(closeness: float, with_scores: bool) -> None:
    rng = np.random.default_rng(1)
    query = units(rng, 384, closeness=closeness)
    phrases = units(rng, 8, 384, closeness=closeness)
    wanted = int((phrases @ query).argsort()[3])  # the fifth
    layer = PersonalLayer.zero(384)
    for _ in range(20):
        cosines = phrases @ layer.apply(query)
        order = (-cosines).argsort()
        place = order.tolist().index(wanted)
        layer.learn(query, phrases[order], place, scores=cosines[order] if with_scores else None)
    assert (phrases @ layer.apply(query)).argmax() == wanted


def test_learning_stops_when_the_choice_is_well_ahead_so_that_other_queries_are_left_alone() -> None:
    query = np.array([1, 0, 0], np.float32)
    shown = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    layer = PersonalLayer.zero(3)
    for _ in range(50):
        layer.learn(query, shown, 0)
    assert float(np.abs(layer.vector).max()) < 1e-6


def test_hits_further_down_than_the_next_teach_nothing() -> None:
    rng = np.random.default_rng(2)
    query, shown = units(rng, 32), units(rng, 6, 32)
    near = PersonalLayer.zero(32).learn(query, shown[:3], 1)
    assert PersonalLayer.zero(32).learn(query, shown, 1) == near
    other = shown.copy()
    other[4] = -other[4]
    assert PersonalLayer.zero(32).learn(query, other, 1) == near


def test_a_single_hit_teaches_nothing() -> None:
    rng = np.random.default_rng(3)
    layer = PersonalLayer.zero(32)
    assert layer.learn(units(rng, 32), units(rng, 1, 32), 0) is layer
    assert not layer.vector.any()


@pytest.mark.parametrize("seed", range(3))
def test_no_run_of_choices_leaves_the_bounds_that_the_server_checks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer = PersonalLayer.zero(24)
    for _ in range(400):
        layer.learn(units(rng, 24), units(rng, 9, 24), 8)
    assert float(np.linalg.norm(layer.vector[24:])) > 0.5 * SHIFT
    assert float(np.abs(layer.vector[:24]).max()) <= SCALE
    assert float(np.linalg.norm(layer.vector[24:].astype(np.float64))) <= SHIFT + 1e-6
    assert PersonalLayer.from_bytes(layer.to_bytes()) == layer


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"query_vector": np.ones(5)}, ValueError, r"query_vector: shape \[5\], must be \[4\]"),
        ({"shown_vectors": np.ones((2, 3))}, ValueError, r"shown_vectors: shape \[2, 3\], must be \[n, 4\]"),
        ({"shown_vectors": np.full((2, 4), np.nan)}, ValueError, "shown_vectors: holds NaN"),
        ({"chosen": 2}, ValueError, "chosen: 2 is not a place among 2 hits, from 0"),
        ({"chosen": -1}, ValueError, "chosen: -1 is not a place"),
        ({"chosen": True}, TypeError, "chosen must be int, not bool"),
        ({"chosen": 1.0}, TypeError, "chosen must be int, not float"),
        ({"scores": [0.5]}, ValueError, r"scores: shape \[1\], must be \[2\]"),
    ],
)
def test_a_wrong_choice_is_refused_and_teaches_nothing(arguments: Any, error: type, sentence: str) -> None:
    layer = PersonalLayer.zero(4)
    given_: dict[str, Any] = {"query_vector": np.ones(4), "shown_vectors": np.ones((2, 4)), "chosen": 1}
    with pytest.raises(error, match=f"^{sentence}"):
        layer.learn(**{**given_, **arguments})
    assert not layer.vector.any()


def test_an_app_cannot_change_the_numbers_behind_the_bounds() -> None:
    layer = learned()
    with pytest.raises(ValueError, match="read-only"):
        layer.vector[0] = 5


def test_a_layer_that_learns_is_whole_whenever_it_is_read() -> None:
    rng = np.random.default_rng(4)
    layer, stop = PersonalLayer.zero(384, encoder=ENCODER), threading.Event()
    bad: list[Exception] = []

    def read() -> None:
        while not stop.is_set():
            try:
                PersonalLayer.from_bytes(layer.to_bytes())
            except ValueError as error:
                bad.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(500):
        layer.learn(units(rng, 384), units(rng, 5, 384), 4)
    stop.set()
    reader.join()
    assert bad == []
