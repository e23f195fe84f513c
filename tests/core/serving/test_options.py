"""Packed options: what a request asks for reaches scorer and retriever unchanged, and damage is named."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest
from malgil_core.serving import options
from malgil_core.serving.options import NAME, OPTIONS, packed, unpacked


def column(values: list[Any], kind: Any) -> Any:
    made = np.empty((len(values), 1), dtype=kind or np.object_)
    made[:, 0] = values
    return made


EVERY = {
    "top_k": column([3, -(2**31)], np.int32),
    "surface": column([b"", "추천".encode()], None),
    "min_score": column([0.25, np.nan], np.float32),
    "null": column([True, False], np.bool_),
    "personal": column([bytes(range(256)) * 13, b""], None),
    "documents_top_k": column([0, 2**31 - 1], np.int32),
    "documents_filter": column([b'{"category": "loan"}', b"\xff\0"], None),
    "documents_deadline_ms": column([1, 10_000], np.int32),
}


def test_the_worked_examples_are_true() -> None:
    assert doctest.testmod(options) == (0, 3)


def test_every_option_arrives_as_it_was_sent_bad_values_too() -> None:
    assert EVERY.keys() == OPTIONS.keys()
    query = column([b"a", b"b"], None)
    found = unpacked({"query": query, NAME: packed({"text": query, **EVERY}, 2)})
    assert found.keys() == {"query", *EVERY}
    assert found["query"] is query
    for name, array in EVERY.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("name", EVERY)
def test_an_option_that_was_left_out_stays_left_out(name: str) -> None:
    assert unpacked({NAME: packed({name: EVERY[name]}, 2)}).keys() == {name}
    assert unpacked({NAME: packed({}, 2)}) == {}


def test_a_request_that_has_its_options_as_inputs_keeps_them() -> None:
    assert unpacked(EVERY) == EVERY


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.ones(1, np.int32), r"top_k has shape \[1\]: it must have 2 dimensions, the batch first"),
        (np.ones((1, 1), np.int32), "top_k has 1 values: the request has 2 queries"),
    ],
)
def test_options_of_another_shape_than_the_queries_are_refused_by_name(array: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        packed({"top_k": array}, 2)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([b"\0"], "the last one is cut off"),
        ([b"\0\x04\0\0\0abc"], "the last one is cut off"),
        ([b"\0\xff\xff\xff\xff"], "the last one is cut off"),
        ([b"\x08\0\0\0\0"], "there is no option 8"),
        ([b"\0\x03\0\0\0abc"], "top_k is of another size than a number of its type"),
        ([b"", b"\x01\0\0\0\0"], "queries of one request have different ones"),
    ],
)
def test_damaged_options_are_refused_in_a_sentence(rows: list[bytes], reason: str) -> None:
    with pytest.raises(ValueError, match=f"^options is not what the tokenizer packs: {reason}; send each option as"):
        unpacked({NAME: column(rows, None)})
