"""Answers in plain JSON: what docs/apps.md says of /infer and /generate, for any strict JSON parser."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from server.launcher import Server

pytestmark = pytest.mark.live


def refuse(constant: str) -> float:
    """JSON has no NaN and no Infinity; Python's parser takes both."""
    raise AssertionError(f"{constant} is not JSON")


def post(server: Server, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request, read strictly."""
    url = f"{server.http_url}/v2/models/{path}"
    with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=60) as answer:
        parsed: dict[str, Any] = json.loads(answer.read(), parse_constant=refuse)
    return parsed


def tensor(name: str, datatype: str, *values: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(values), 1], "data": list(values)}


def test_a_browser_can_read_an_answer_with_fewer_hits_than_were_asked_for(server: Server) -> None:
    inputs = [tensor("query", "BYTES", "송금", "환전"), tensor("top_k", "INT32", 1000, 1)]
    answer = {output["name"]: output for output in post(server, "search/infer", {"inputs": inputs})["outputs"]}
    assert {name: answer[name]["shape"] for name in ("id", "score", "generation")} == {
        "id": [2, 1000], "score": [2, 1000], "generation": [2, 1],
    }  # fmt: skip
    columns = ("id", "name", "path", "phrase", "score", "dense", "lexical")
    rows = list(zip(*(answer[name]["data"] for name in columns), strict=True))
    padding = [row for row in rows if row[0] == -1]
    assert 0 < len(rows) - len(padding) < 1000
    assert set(padding) == {(-1, "", "", "", -1, -1, 0)}
    assert rows[1000][0] != -1
    assert set(rows[1001:]) == set(padding)  # the second query's


def test_generate_answers_one_query_with_lists_and_a_single_hit_with_plain_values(server: Server) -> None:
    three = post(server, "search/generate", {"query": "돈 보내기", "top_k": 3})
    assert [len(three[name]) for name in ("id", "name", "path", "phrase", "score", "dense", "lexical")] == [3] * 7
    assert three["score"] == sorted(three["score"], reverse=True)
    one = post(server, "search/generate", {"query": "돈 보내기", "top_k": 1})
    assert (one["id"], one["name"], one["score"]) == (three["id"][0], three["name"][0], three["score"][0])
    assert isinstance(one["generation"], int)


def test_generate_answers_several_queries_one_after_the_other(server: Server) -> None:
    alone = [post(server, "search/generate", {"query": query, "top_k": 2}) for query in ("송ㄱ", "환전")]
    both = post(server, "search/generate", {"query": ["송ㄱ", "환전"], "top_k": [2, 2]})
    assert both["id"] == alone[0]["id"] + alone[1]["id"]
    assert len(both["generation"]) == 2
    mixed = post(server, "search/generate", {"query": ["송ㄱ", "환전"], "top_k": [1, 2]})
    assert mixed["id"] == [alone[0]["id"][0], -1, *alone[1]["id"]]
    assert mixed["score"][1] == -1


def test_generate_says_that_nothing_was_found(server: Server) -> None:
    nothing = post(server, "search/generate", {"query": "돈", "top_k": 2, "min_score": 1.0})
    assert (nothing["id"], nothing["name"], nothing["score"]) == ([-1, -1], ["", ""], [-1, -1])
    assert (nothing["dense"], nothing["lexical"]) == ([-1, -1], [0, 0])
