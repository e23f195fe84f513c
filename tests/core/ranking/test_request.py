"""Search requests: what is refused and in which words, and the tensors of an answer."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.request import (
    check_embeddings,
    lay_out,
    parse_min_score,
    parse_options,
    parse_surface,
    parse_top_k,
)
from malgil_core.ranking.types import QueryOptions, Ranked

from tests.index import generation

SURFACES = ("HOME", "추천")


@pytest.mark.parametrize(
    ("parse", "value", "sentence"),
    [
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
        (parse_top_k, 1),
        (parse_top_k, 1000),
        (parse_min_score, -1.0),
        (parse_min_score, 1.0),
    ],
)
def test_a_value_on_the_bound_is_taken(parse: Callable[[Any], Any], value: Any) -> None:
    assert parse(value) == value


@pytest.mark.parametrize("raw", [b"home", b"", b"\xff", b"HOME\0", b"HOME " + b"x" * 100])
def test_an_unknown_surface_is_refused_with_the_known_ones(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"^surface is '.{0,64}': the catalog has HOME, 추천$"):
        parse_surface(raw, SURFACES)
    with pytest.raises(ValueError, match=r": the catalog has none$"):
        parse_surface(raw, ())


@pytest.mark.parametrize("surface", ["HOME", "추천", "화면" * 40])
def test_every_surface_of_the_catalog_is_found_from_every_keyboard(surface: str) -> None:
    known = {surface: True}
    assert parse_surface(surface.encode(), known) == surface
    assert parse_surface(unicodedata.normalize("NFD", surface).encode(), known) == surface


@pytest.mark.parametrize(
    ("embeddings", "sentence"),
    [
        (np.ones((2, 3), np.float32), "embedding has 3 numbers: this index takes 2"),
        (
            np.array([[1, 0], [np.nan, 0]], np.float32),
            "embedding holds NaN, which .*: search again, .* input_ids",
        ),
        (np.ones(2, np.float32), r"embedding has shape \[2\]: it must have 2 dimensions, the batch first"),
        (np.array([[np.inf, 0]], np.float32), "embedding holds an infinite number: all must be finite"),
    ],
)
def test_an_embedding_that_cannot_be_scored_is_refused(embeddings: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        check_embeddings(embeddings, 2)


def test_an_embedding_of_the_index_s_width_is_taken() -> None:
    check_embeddings(np.array([[1, 0], [0, 0]], np.float32), 2)


def test_an_option_that_is_left_out_has_the_documented_default() -> None:
    assert parse_options(2, None, None, None, SURFACES) == [QueryOptions(10, None, None, True)] * 2
    off = parse_options(2, None, None, None, SURFACES, [True, False])
    assert [query.null for query in off] == [True, False]


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
    np.testing.assert_allclose(answer["score"][0], [0.8, 0.6, -1, -1], atol=1e-6)
    np.testing.assert_allclose(answer["dense"][0], [0.8, 0.6, -1, -1], atol=1e-6)
    assert answer["score"][2].tolist() == answer["dense"][2].tolist() == [-1] * 4
    assert answer["lexical"].tolist() == [[0] * 4] * 3
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
        "null_topic": "|O",
        "null_phrase": "|O",
        "null_score": "<f4",
        "refused_by": "|O",
        "encoder": "|O",
        "answered": "|b1",
    }
    assert {answer[name].shape for name in ("null_topic", "null_phrase", "null_score", "refused_by")} == {(3, 1)}
    assert answer["null_score"].tolist() == [[-1]] * 3  # which JSON can hold


def test_an_answer_without_any_open_service_is_all_padding() -> None:
    index = generation(np.empty((0, 2), np.float32), [], [])
    answer = lay_out(index, [Ranked.empty()], [QueryOptions(2)])
    assert (answer["id"].tolist(), answer["phrase"].tolist()) == ([[-1, -1]], [[b"", b""]])
