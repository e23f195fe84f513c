"""Suggestions: arguments to tensors, tensors to results, both clients on the wire, and the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from malgil import BadRequest, ServerError, Suggestion, SuggestResult, Unavailable
from malgil._output import suggest_table
from malgil._tensors import read_suggestions, suggest_inputs

from tests.client.blocking import open_client
from tests.client.fake_triton import QUEUE_FULL, SERVERS, Scenario
from tests.client.tensors import two_suggestions
from tests.client.test_cli import malgil

FIRST = Suggestion("이체 한도", 101, "이체 한도 변경", "송금 > 이체 한도 변경", "query", 0.75)
SECOND = Suggestion("\N{REPLACEMENT CHARACTER}", 7, "송금", "송금", "phrase", 0.5)
TABLE = """\
#  text       name            path                   source
1  이체 한도  이체 한도 변경  송금 > 이체 한도 변경  query
2  \N{REPLACEMENT CHARACTER}          송금            송금                   phrase
"""


def test_options_that_are_not_given_are_not_sent_and_the_others_as_the_model_expects() -> None:
    assert list(suggest_inputs("송ㄱ", None, None)) == ["typed"]
    tensors = suggest_inputs("송ㄱ", 3, "RECO")
    assert {name: (array.shape, str(array.dtype), array.item()) for name, array in tensors.items()} == {
        "typed": ((1, 1), "object", "송ㄱ".encode()),
        "top_k": ((1, 1), "int32", 3),
        "surface": ((1, 1), "object", b"RECO"),
    }


@pytest.mark.parametrize(("field", "value"), [("typed", b"\xeb"), ("typed", None), ("top_k", 5.0), ("surface", 3)])
def test_a_wrong_type_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"^{field} must be"):
        suggest_inputs(**({"typed": "송", "top_k": None, "surface": None} | {field: value}))


def test_padding_is_dropped_and_a_result_is_a_sequence() -> None:
    result = read_suggestions(two_suggestions("이체"))
    assert result == SuggestResult((FIRST, SECOND), 42)
    assert (len(result), result[0], result[-1:]) == (2, FIRST, (SECOND,))
    assert not SuggestResult((), 1)
    with pytest.raises(ServerError, match="lacks 'text'"):
        read_suggestions({})


def test_control_characters_in_a_text_do_not_reach_the_terminal() -> None:
    lines = suggest_table(SuggestResult((Suggestion("송\n금\x1b[31m", 1, "a\tb", "", "query", 0.5),), 1))
    assert lines.count("\n") == 1
    assert "\x1b" not in lines
    assert suggest_table(SuggestResult((), 1)) == "no suggestions"


@pytest.fixture
def scenario() -> Scenario:
    return Scenario()


@pytest.fixture(params=[(protocol, mode) for protocol in SERVERS for mode in ("sync", "async")], ids="-".join)
def client(request: pytest.FixtureRequest, scenario: Scenario) -> Iterator[Any]:
    protocol, mode = request.param
    with SERVERS[protocol](scenario) as url, open_client(mode, url, timeout=10) as client:
        yield client


@pytest.mark.slow
def test_what_is_typed_is_completed_by_the_model_of_suggestions(client: Any, scenario: Scenario) -> None:
    assert client.suggest("이체") == SuggestResult((FIRST, SECOND), 42)
    assert client.suggest("이체", top_k=2, surface="RECO")[0] == FIRST
    (model, sent), (_, also) = scenario.requests
    assert model == "suggest"
    assert {name: array.item() for name, array in sent.items()} == {"typed": "이체".encode(), "top_k": 5}
    assert (also["top_k"].item(), also["surface"].item()) == (2, b"RECO")
    assert {*scenario.outputs[0]} == {*two_suggestions("")}


@pytest.mark.slow
def test_nothing_is_sent_with_a_bad_argument_and_a_full_queue_is_tried_again(client: Any, scenario: Scenario) -> None:
    with pytest.raises(BadRequest, match=r"^top_k: 4294967296 does not fit"):
        client.suggest("돈", top_k=2**32)
    assert scenario.requests == []
    scenario.failures = [QUEUE_FULL] * 2
    assert client.suggest("돈")
    assert len(scenario.requests) == 3


@pytest.mark.slow
def test_a_server_of_an_older_version_is_unavailable_for_suggestions_by_the_name_of_the_model() -> None:
    scenario = Scenario(failures=[("NOT_FOUND", "Request for unknown model: 'more' is not found")])
    with (
        SERVERS["grpc"](scenario) as url,
        open_client("sync", url, suggest_model="more") as client,
        pytest.raises(Unavailable, match="more"),
    ):
        client.suggest("돈")


@pytest.mark.slow
@pytest.mark.parametrize("protocol", SERVERS)
def test_the_command_prints_suggestions_as_a_table_or_json(protocol: str, scenario: Scenario) -> None:
    with SERVERS[protocol](scenario) as url:
        done = malgil("suggest", "이체", "--url", url, "--top-k", "3", "--surface", "RECO")
        assert (done.returncode, done.stdout, done.stderr) == (0, TABLE, "")
        assert scenario.requests[0][1]["top_k"].item() == 3
        answer = json.loads(malgil("suggest", "이체", "--url", url, "--json").stdout)
    assert answer["generation"] == 42
    assert answer["suggestions"][0] == {
        "text": "이체 한도",
        "id": 101,
        "name": "이체 한도 변경",
        "path": "송금 > 이체 한도 변경",
        "source": "query",
        "score": 0.75,
    }
