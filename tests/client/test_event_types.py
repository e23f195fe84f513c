"""The events of the client are those that core takes, byte for byte: neither imports the other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from malgil import _events
from malgil._events import Answer, ShownHit, as_json
from malgil_core.events import types

NAMES = st.from_regex(r"[A-Za-z0-9_.:-]{0,64}", fullmatch=True)
HASHES = st.one_of(st.just(""), st.from_regex(r"[0-9a-f]{32}", fullmatch=True))
NUMBERS = st.integers(0, 2**53 - 1)
HITS = st.builds(
    ShownHit, NUMBERS, st.floats(-1000, 1000).map(lambda score: round(score, 6)), st.one_of(st.none(), NAMES)
)
ANSWERS = st.builds(
    Answer,
    st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
    NUMBERS,
    NAMES,
    st.text(st.characters(codec="utf-8"), max_size=64),
    HASHES,
    st.integers(1, 100_000),
    st.lists(HITS, min_size=1, max_size=130, unique_by=lambda hit: hit.id).map(tuple),
)
QUERIES = st.one_of(st.none(), st.text(st.characters(codec="utf-8"), min_size=1, max_size=200))


@given(ANSWERS, QUERIES, st.sampled_from(["", "null", "floor"]))
def test_core_takes_every_event_of_the_client_and_writes_it_the_same(
    answer: Answer, query: str | None, refused_by: str
) -> None:
    events = answer.searched(query, refused_by), answer.shown(), answer.chosen(answer.hits[-1].id), answer.abandoned()
    for event in events:
        parsed = types.parse_event(as_json(event))
        assert parsed.as_json() == as_json(event)
        assert type(parsed) is types.TYPES[event["type"]]


def test_the_bounds_are_the_same_on_both_sides() -> None:
    assert (_events.MAX_BYTES, _events.MAX_HITS) == (types.MAX_EVENT_BYTES, types.MAX_HITS)
    at_most = Answer("0" * 32, 1, "v" * 64, "홈" * _events.MAX_SURFACE, "", 1, ())
    assert types.parse_event(as_json(at_most.abandoned())).surface == "홈" * 64
    for longer in (
        Answer("0" * 32, 1, "v" * 65, "", "", 1, ()),
        Answer("0" * 32, 1, "", "홈" * (_events.MAX_SURFACE + 1), "", 1, ()),
    ):
        with pytest.raises(ValueError, match="64"):
            types.parse_event(as_json(longer.abandoned()))


def test_the_longest_query_that_a_server_answers_can_be_logged_and_a_longer_event_goes_without_it() -> None:
    answer = Answer("0" * 32, 1, "v" * 64, "홈" * 64, "f" * 32, 1, ())
    longest = answer.searched("돈" * 2730, "")
    assert types.parse_event(as_json(longest)) == types.Search(**longest)
    shortened = types.parse_event(as_json(answer.searched("\x01" * 8192, "")))
    assert isinstance(shortened, types.Search)
    assert shortened.query == ""
