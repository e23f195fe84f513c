"""What a request says and what an answer looks like, tensor by tensor."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.request import (
    check_embeddings,
    lay_out,
    parse_min_score,
    parse_options,
    parse_query,
    parse_surface,
    parse_top_k,
    require,
)
from malgil_core.ranking.types import QueryOptions, Ranked

from tests.index import generation

SURFACES = ("HOME", "추천")


@pytest.mark.parametrize(
    ("parse", "value", "sentence"),
    [
        (parse_query, b"", "query is blank: 0 bytes without a visible character; send at least one"),
        (parse_query, " \t\u3000".encode(), "query is blank: 5 bytes without a visible character; send at least one"),
        (parse_query, b"x" * 8193, "query is 8193 bytes long: at most 8192 are taken"),
        (parse_query, b"\xec\x86\xa1\xff", "query is not UTF-8: invalid start byte at byte 3"),
        (parse_top_k, 0, "top_k is 0: it must be from 1 to 1000"),
        (parse_top_k, -(2**31), "top_k is -2147483648: it must be from 1 to 1000"),
        (parse_top_k, 1001, "top_k is 1001: it must be from 1 to 1000"),
        (parse_min_score, 1.01, "min_score is 1.01: it must be from -1 to 1"),
        (parse_min_score, -1.5, "min_score is -1.5: it must be from -1 to 1"),
        (parse_min_score, float("nan"), "min_score is nan: it must be from -1 to 1"),
        (parse_min_score, float("inf"), "min_score is inf: it must be from -1 to 1"),
    ],
)
def test_a_refusal_names_the_field_the_value_and_the_bound(
    parse: Callable[[Any], Any], value: Any, sentence: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        parse(value)


@pytest.mark.parametrize(
    ("parse", "value"),
    [
        (parse_query, "송"),
        (parse_query, "x" * 8192),
        (parse_top_k, 1),
        (parse_top_k, 1000),
        (parse_min_score, -1.0),
        (parse_min_score, 1.0),
    ],
)
def test_a_value_on_the_bound_is_taken(parse: Callable[[Any], Any], value: Any) -> None:
    assert parse(value.encode() if isinstance(value, str) else value) == value


@given(st.binary(max_size=64) | st.text(max_size=64).map(str.encode))
def test_any_bytes_are_a_query_or_are_refused_in_a_sentence(raw: bytes) -> None:
    taken, refusal = None, None
    try:
        taken = parse_query(raw)
    except ValueError as error:
        refusal = error
    if refusal is None:
        assert taken is not None
        assert taken.encode() == raw
    else:
        assert type(refusal) is ValueError  # UnicodeDecodeError's text is no sentence for a caller
        assert str(refusal).startswith("query is ")


@pytest.mark.parametrize("raw", [b"home", b"", b"\xff", b"HOME\0", b"HOME " + b"x" * 100])
def test_a_surface_that_the_catalogue_has_not_is_refused_with_those_it_has(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"^surface is '.{0,64}': the catalogue has HOME, 추천$"):
        parse_surface(raw, SURFACES)
    with pytest.raises(ValueError, match=r": the catalogue has none$"):
        parse_surface(raw, ())


@pytest.mark.parametrize("surface", ["HOME", "추천", "화면" * 40])
def test_every_surface_of_the_catalogue_can_be_asked_for_on_every_keyboard(surface: str) -> None:
    known = {surface: True}
    assert parse_surface(surface.encode(), known) == surface
    assert parse_surface(unicodedata.normalize("NFD", surface).encode(), known) == surface


@pytest.mark.parametrize(
    ("embeddings", "sentence"),
    [
        (np.ones((2, 3), np.float32), "embedding has 3 numbers: this index takes 2"),
        (np.array([[1, 0], [np.nan, 0]], np.float32), "embedding holds a number that is not finite"),
        (np.ones(2, np.float32), r"embedding has shape \[2\]: it must have 2 dimensions, the batch first"),
        (np.array([[np.inf, 0]], np.float32), "embedding holds a number that is not finite"),
    ],
)
def test_an_embedding_that_cannot_be_scored_is_refused(embeddings: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        check_embeddings(embeddings, 2)


def test_a_missing_tensor_is_named_and_an_empty_one_is_not_missing() -> None:
    with pytest.raises(ValueError, match=r"^query is missing: a request must have it$"):
        require("query", None)
    assert require("query", []) == []


def test_an_embedding_of_the_index_s_width_is_taken() -> None:
    check_embeddings(np.array([[1, 0], [0, 0]], np.float32), 2)


def test_what_is_not_asked_for_has_the_documented_default() -> None:
    assert parse_options(2, None, None, None, SURFACES) == [QueryOptions(10, None, None)] * 2


def test_each_query_of_a_request_gets_its_own_options() -> None:
    options = parse_options(2, [3, 50], [b"HOME", "추천".encode()], [0.5, -1.0], SURFACES)
    assert options == [QueryOptions(3, "HOME", 0.5), QueryOptions(50, "추천", -1.0)]
    with pytest.raises(ValueError, match="top_k is 0"):
        parse_options(2, [3, 0], None, None, SURFACES)


@pytest.fixture
def answer() -> dict[str, Any]:
    """The tensors of a request with three queries: two hits of 4 wanted, one of 1, none of 2."""
    index = generation(np.eye(3, dtype=np.float32)[[0, 0, 1]], [0, 0, 1], [70, 30])
    options = [QueryOptions(4), QueryOptions(1), QueryOptions(2, min_score=1.0)]
    queries = np.array([[0.8, 0.6, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    return lay_out(index, CpuScorer(index).rank(queries, options), options)


def test_an_answer_is_as_wide_as_its_widest_query_and_padded_behind_the_hits(answer: dict[str, Any]) -> None:
    assert answer["id"].tolist() == [[70, 30, -1, -1], [30, -1, -1, -1], [-1, -1, -1, -1]]
    assert answer["name"].tolist() == [[b"name 0", b"name 1", b"", b""], [b"name 1", b"", b"", b""], [b""] * 4]
    assert answer["path"][0].tolist() == [b"path 0", b"path 1", b"", b""]
    assert answer["phrase"].tolist() == [[b"phrase 0", b"phrase 2", b"", b""], [b"phrase 2", b"", b"", b""], [b""] * 4]
    np.testing.assert_allclose(answer["score"][0], [0.8, 0.6, -np.inf, -np.inf], atol=1e-6)
    assert np.isneginf(answer["score"][2]).all()
    assert answer["generation"].tolist() == [[42], [42], [42]]


def test_an_answer_has_the_types_of_the_contract(answer: dict[str, Any]) -> None:
    assert {name: array.dtype.str for name, array in answer.items()} == {
        "id": "<i8",
        "name": "|O",
        "path": "|O",
        "phrase": "|O",
        "score": "<f4",
        "dense": "<f4",
        "lexical": "<f4",
        "generation": "<i8",
    }


def test_an_answer_without_any_open_service_is_all_padding() -> None:
    index = generation(np.empty((0, 2), np.float32), [], [])
    answer = lay_out(index, [Ranked.nothing()], [QueryOptions(2)])
    assert (answer["id"].tolist(), answer["phrase"].tolist()) == ([[-1, -1]], [[b"", b""]])
