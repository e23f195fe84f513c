"""Events: what a client sends is stored as it is, and nothing else gets in, whatever it is made of."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from malgil_core.events.types import (
    MAX_EVENT_BYTES,
    AnyEvent,
    Chosen,
    Hit,
    Search,
    Shown,
    parse_event,
    parse_events,
    without_query,
)

from tests.events import abandoned, chosen, search, shown

EVENTS: dict[str, AnyEvent] = {
    "search": search(query='남은 용돈 "어디"서\n봐 😀', refused_by="", variant="weights:b", person="a" * 32),
    "search without a text": search(count=0, refused_by="null"),
    "shown": shown(
        variant="weights:interleaved", hits=(Hit(id=1, rank=1, score=0.1, team="a"), Hit(id=2, rank=3, score=-1.0))
    ),
    "shown, nothing": shown(hits=()),
    "chosen": chosen(team="b", surface="홈 화면"),
    "abandoned": abandoned(at_ms=0, generation=0),
}
Change = Callable[[dict[str, Any]], Any]


def raw(**change: Any) -> bytes:
    """A search in JSON, with a change; None leaves the field out."""
    fields = {**json.loads(search().as_json()), **change}
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def refusal(line: bytes) -> str:
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse_event(line)
    assert caught.type is ValueError
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert len(sentence) < 400
    sentence.encode()  # it can be printed
    return sentence


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_is_read_back_from_its_line_as_it_was(kind: str) -> None:
    event = EVENTS[kind]
    line = event.as_json()
    assert b"\n" not in line
    assert parse_event(line) == event
    assert parse_event(line).as_json() == line
    assert parse_event(json.dumps(json.loads(line), indent=1).encode()) == event  # however it is written


def test_the_fields_of_a_line_are_those_of_the_page_and_no_text_is_there_that_was_not_asked_for() -> None:
    common = ["type", "search_id", "at_ms", "generation", "variant", "surface", "person"]
    assert list(json.loads(search().as_json())) == [*common, "count", "k", "refused_by"]
    assert list(json.loads(search(query="송금").as_json())) == [*common, "count", "k", "refused_by", "query"]
    assert list(json.loads(shown().as_json())) == [*common, "k", "hits"]
    assert list(json.loads(shown().as_json())["hits"][0]) == ["id", "rank", "score"]
    assert list(json.loads(chosen(team="a").as_json())) == [*common, "k", "id", "rank", "score", "team"]
    assert list(json.loads(abandoned().as_json())) == [*common, "k"]
    assert list(json.loads(parse_event(chosen(team="a").as_json()).as_json())) == list(
        json.loads(chosen(team="a").as_json())
    )


def test_a_server_that_logs_no_queries_keeps_everything_else_of_a_search() -> None:
    assert without_query(search(query="내 계좌 110-123-456789")) == search()
    assert without_query(shown()) == shown()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown type": ({"type": "viewed"}, 'type is "viewed": it must be search, shown, chosen, abandoned'),
    "no type": ({"type": None}, "type is missing"),
    "type is a list": ({"type": ["search"]}, 'type is ["search"]: it must be search'),
    "unknown field": ({"name": "김민지"}, '"name" is no field of this event: nothing else is stored'),
    "field of another event": ({"rank": 1}, '"rank" is no field of this event'),
    "missing": ({"k": None}, "k is missing"),
    "short id": ({"search_id": "abc"}, 'search_id is "abc": it must be 32 of the digits 0-9 a-f'),
    "upper-case id": ({"search_id": "A" * 32}, "it must be 32 of the digits 0-9 a-f"),
    "id with a line break": ({"search_id": "a" * 32 + "\n"}, "it must be 32 of the digits 0-9 a-f"),
    "id in full-width digits": ({"search_id": "０" * 32}, "it must be 32 of the digits 0-9 a-f"),
    "person in the clear": ({"person": "minji@example.com"}, 'person is "minji@example.com": it must be empty, or 32'),
    "time before 1970": ({"at_ms": -1}, "at_ms is -1: it must be a whole number from 0 to"),
    "time in fractions": ({"at_ms": 1.5}, "at_ms is 1.5: it must be a whole number"),
    "time after all": ({"at_ms": 2**53}, "at_ms is 9007199254740992: it must be"),
    "time as a text": ({"at_ms": "1764421500000"}, 'at_ms is "1764421500000": it must be a whole number'),
    "generation is true": ({"generation": True}, "generation is true: it must be a whole number from 0"),
    "k is 0": ({"k": 0}, "k is 0: it must be a whole number from 1 to 100000"),
    "huge number": ({"k": 10**4000}, "k is a number of 13288 bits: it must be a whole number from 1"),
    "count": ({"count": 1001}, "count is 1001: it must be a whole number from 0 to 1000"),
    "refused by": ({"refused_by": "me"}, 'refused_by is "me": it must be "", "null" or "floor"'),
    "variant": ({"variant": "weights b"}, 'variant is "weights b": it must be at most 64 of the characters'),
    "long variant": ({"variant": "a" * 65}, "it must be at most 64 of the characters"),
    "surface": ({"surface": "홈" * 65}, "it must be a text of at most 64 characters"),
    "query": ({"query": 5}, "query is 5: it must be a text of at most 8192 bytes"),
    "null": ({"surface": ...}, "surface is null: it must be a text"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_search_is_refused_by_field_value_and_bound(kind: str) -> None:
    change, sentence = WRONG[kind]
    line = raw(**change) if ... not in change.values() else raw().replace(b'"home"', b"null")
    assert sentence in refusal(line)


@pytest.mark.parametrize(
    ("hits", "sentence"),
    [
        ([{"id": 1, "rank": 1}], "hit 1: score is missing"),
        ([{"id": 1, "rank": 1, "score": 1}, {"id": 1, "rank": 0, "score": 1}], "hit 2: rank is 0: it must be"),
        ([{"id": 1, "rank": 1, "score": 1, "name": "송금"}], 'hit 1: "name" is no field of this event'),
        ([{"id": -1, "rank": 1, "score": 1}], "hit 1: id is -1: it must be a whole number from 0"),
        ([{"id": 1, "rank": 1, "score": 1e9}], "hit 1: score is 1000000000.0: it must be a number from -1000 to 1000"),
        ([{"id": 1, "rank": 1, "score": 1, "team": "a b"}], 'hit 1: team is "a b": it must be at most 64'),
        ([5], "hit 1: it is 5: a hit is an object with id, rank and score"),
        ([{"id": 1, "rank": 1, "score": 1}] * 101, "it must be a list of at most 100 hits"),
        ({"id": 1}, 'hits is {"id": 1}: it must be a list'),
    ],
)
def test_what_is_no_list_of_hits_is_refused_with_the_place_of_the_hit(hits: Any, sentence: str) -> None:
    fields = {**json.loads(shown().as_json()), "hits": hits}
    assert sentence in refusal(json.dumps(fields).encode())


HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "event is not JSON"),
    "no object": (b"[1]", "event is [1]: it must be an object"),
    "a text": (b'"search"', 'event is "search": it must be an object'),
    "half of it": (search().as_json()[:40], "event is not JSON: EOF while parsing"),
    "two of it": (search().as_json() * 2, "event is not JSON"),
    "not UTF-8": (raw(surface="@").replace(b"@", b"\xff"), "event is not JSON"),
    "UTF-16": (search().as_json().decode().encode("utf-16"), "event is not JSON"),
    "behind a byte order mark": (b"\xef\xbb\xbf" + search().as_json(), "event is not JSON"),
    "half a surrogate pair": (raw(surface="@").replace(b"@", b"\\ud83d"), "event is not JSON"),
    "half a surrogate pair as a field": (raw(surface="@").replace(b"surface", b"\\udc00"), "event is not JSON"),
    "NaN": (raw(k="@").replace(b'"@"', b"NaN"), "k is NaN: it must be a whole number"),
    "infinity": (chosen(score=0.125).as_json().replace(b"0.125", b"Infinity"), "it must be"),
    "a number beyond all numbers": (chosen(score=0.125).as_json().replace(b"0.125", b"1e999"), "it must be"),
    "10,000 digits": (raw(k="@").replace(b'"@"', b"1" * 10_000), ""),
    "deep lists": (raw(surface="@").replace(b'"@"', b"[" * 8000 + b"]" * 7000), "event is not JSON"),
    "deep objects": (raw(surface="@").replace(b'"@"', b'{"a":' * 2500), "event is not JSON"),
    "deep where nobody looks": (raw(x="@").replace(b'"@"', b"[" * 150 + b"]" * 150), '"x" is no field'),
    "a field twice": (raw().replace(b'"k": 1', b'"k": 1, "k": 2'), '"k" is there twice'),
    "a field twice, with the same value": (raw().replace(b'"k": 1', b'"k": 1, "k": 1'), '"k" is there twice'),
    "a field of a hit twice": (shown().as_json().replace(b'"rank":1', b'"rank":1,"rank":1'), '"rank" is there twice'),
    "a field twice, once escaped": (raw().replace(b'"k": 1', b'"k": 1, "\\u006b": 1'), '"k" is there twice'),
    "too long": (b" " * MAX_EVENT_BYTES + search().as_json(), f"bytes long: at most {MAX_EVENT_BYTES} are taken"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_json_is_refused_in_a_sentence(kind: str) -> None:
    line, sentence = HOSTILE[kind]
    assert sentence in refusal(line)


def test_a_long_query_is_stored_and_a_longer_one_than_can_be_searched_is_not() -> None:
    longest = search(query="가" * 2730)
    assert parse_event(longest.as_json()) == longest
    assert "query is 8193 bytes long: at most 8192" in refusal(search(query="가" * 2731).as_json())


def test_a_hundred_hits_fit_into_an_event() -> None:
    hits = tuple(Hit(id=2**53 - 1, rank=rank, score=-0.12345678901234567, team="a" * 16) for rank in range(1, 101))
    line = shown(hits=hits, person="a" * 32, variant="v" * 64, surface="홈" * 64).as_json()
    assert len(line) < MAX_EVENT_BYTES
    assert parse_event(line) == parse_event(line)


_hex = st.text("0123456789abcdef", min_size=32, max_size=32)
_whole = st.integers(0, 2**53 - 1)
_scores = st.floats(-1000, 1000, allow_nan=False)
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=64)


@given(
    st.builds(
        Search, search_id=_hex, at_ms=st.integers(0, 2**40), generation=_whole, surface=_texts, count=st.integers(0, 9),
        k=st.integers(1, 9), query=_texts,
    )
    | st.builds(Chosen, search_id=_hex, at_ms=st.integers(0, 2**40), generation=_whole, k=st.integers(1, 9), id=_whole,
                rank=st.integers(1, 1000), score=_scores)
    | st.builds(Shown, search_id=_hex, at_ms=st.integers(0, 2**40), generation=_whole, k=st.integers(1, 9),
                hits=st.lists(st.builds(Hit, id=_whole, rank=st.integers(1, 1000), score=_scores)).map(tuple))
)  # fmt: skip
def test_whatever_a_client_may_send_comes_back(event: AnyEvent) -> None:
    assert parse_event(event.as_json()) == event


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "k", "hits", "id"]) | st.text(), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_nothing_but_a_sentence_comes_of_what_is_no_event(line: bytes) -> None:
    refusal(line)


def _tensor(*elements: bytes) -> Any:
    array = np.empty((len(elements), 1), dtype=np.object_)
    array[:, 0] = elements
    return array


def test_a_bad_event_among_good_ones_is_named_by_its_place() -> None:
    good = search().as_json()
    assert parse_events(_tensor(good, good)) == [search()] * 2
    with pytest.raises(ValueError, match=r"^event 2 of 3: k is 0: it must be"):
        parse_events(_tensor(good, search(k=0).as_json(), b""))
    with pytest.raises(ValueError, match=r"^k is 0: it must be"):
        parse_events(_tensor(search(k=0).as_json()))


def test_a_request_without_events_or_without_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="event is missing"):
        parse_events(None)
    with pytest.raises(ValueError, match=r"event has shape \[1\]: it must have 2 dimensions"):
        parse_events(np.array([b"{}"], dtype=np.object_))


def test_the_stack_is_left_as_it_was_after_deep_json() -> None:
    limit = sys.getrecursionlimit()
    for kind in ("deep lists", "deep objects"):
        refusal(HOSTILE[kind][0])
    assert sys.getrecursionlimit() == limit
