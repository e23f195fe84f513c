"""Events: what they say, what they never say, and tickets, from which they are made later."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import re
from typing import Any

import pytest
from malgil import Feedback, FeedbackCounts, Hit, SearchResult, new_search_id
from malgil._events import MAX_BYTES, Answer, ShownHit, as_json
from malgil._keyed import person_hash, seed, uniform
from malgil._tensors import search_inputs
from malgil._tickets import read_ticket, ticket
from malgil._tracking import FeedbackSender

KEY = b"0123456789abcdef"
DAY = 24 * 60 * 60 * 1000
HITS = (ShownHit(100, 0.9, None), ShownHit(501, 0.5, "b"))


@pytest.fixture
def answer() -> Answer:
    return Answer("0" * 32, 7, "weights:b", "SEARCH", "f" * 32, 3, HITS)


def unconnected() -> Any:
    raise AssertionError("nothing is to be sent")


def test_each_kind_of_event_has_its_fields_and_no_others(answer: Answer) -> None:
    common = {"type", "search_id", "at_ms", "generation", "variant", "surface", "person", "k"}
    assert set(answer.searched(None, "")) == common | {"count", "refused_by"}
    assert set(answer.searched("카드", "")) == common | {"count", "refused_by", "query"}
    assert set(answer.shown()) == common | {"hits"}
    assert set(answer.chosen(100)) == common | {"id", "rank", "score"}
    assert set(answer.chosen(501)) == common | {"id", "rank", "score", "team"}
    assert set(answer.abandoned()) == common


def test_a_choice_carries_the_rank_score_and_team_of_the_hit(answer: Answer) -> None:
    chosen = answer.chosen(501)
    assert (chosen["id"], chosen["rank"], chosen["score"], chosen["team"], chosen["k"]) == (501, 2, 0.5, "b", 3)
    assert answer.shown()["hits"] == [
        {"id": 100, "rank": 1, "score": 0.9},
        {"id": 501, "rank": 2, "score": 0.5, "team": "b"},
    ]
    with pytest.raises(ValueError, match=r"^hit: 7 is the id of no hit of this result$"):
        answer.chosen(7)


def test_a_thousand_hits_and_the_longest_query_stay_within_what_the_server_takes(answer: Answer) -> None:
    hits = tuple(ShownHit(2**53 - 1 - i, 0.123456, "a") for i in range(1000))
    longest = Answer("0" * 32, 2**53 - 1, "v" * 64, "홈" * 64, "f" * 32, 100_000, hits)
    assert len(json.loads(as_json(longest.shown()))["hits"]) == 100
    assert len(as_json(longest.shown())) <= MAX_BYTES
    query = "\x01" * 8192  # six bytes each in JSON
    written = as_json(longest.searched(query, ""))
    assert len(written) <= MAX_BYTES
    assert json.loads(written)["count"] == 1000
    assert json.loads(as_json(longest.searched("돈" * 2730, "")))["query"] == "돈" * 2730


def test_the_hash_of_a_person_is_the_one_that_the_server_and_other_clients_compute() -> None:
    # printf 'malgil:person:683:user-17' | openssl dgst -sha256 -hmac 0123456789abcdef, the first 32 digits
    assert person_hash(KEY, "user-17", 20_490 * DAY, 30) == "2bc71a258d138431e3b514a7b22dd884"


def test_a_person_keeps_the_hash_for_a_period_and_has_another_in_the_next() -> None:
    begin = 683 * 30 * DAY
    assert person_hash(KEY, "user-17", begin, 30) == person_hash(KEY, "user-17", begin + 30 * DAY - 1, 30)
    periods = [person_hash(KEY, "user-17", begin + i * 30 * DAY, 30) for i in range(50)]
    assert len({*periods, person_hash(KEY, "user-18", begin, 30), person_hash(b"x" * 16, "user-17", begin, 30)}) == 52
    assert person_hash(KEY, "user-17", begin, 365) != person_hash(KEY, "user-17", begin, 30)


def test_a_person_whose_id_is_half_an_emoji_can_search() -> None:
    assert len(person_hash(KEY, "\ud83d", 0, 30)) == 32


def test_numbers_drawn_for_texts_are_spread_evenly_between_0_and_1() -> None:
    drawn = sorted(uniform(KEY, f"person {i}") for i in range(4000))
    assert drawn[0] > 0
    assert drawn[-1] < 1
    # Kolmogorov-Smirnov: the 99.9 % point of the distance, 1.95 / sqrt(n)
    assert max(abs(x - i / 4000) for i, x in enumerate(drawn)) < 1.95 / 4000**0.5
    assert seed(KEY, "a") != seed(KEY, "b")


def test_search_ids_are_32_hex_digits_and_never_the_same() -> None:
    ids = {new_search_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch("[0-9a-f]{32}", id) for id in ids)


def track(feedback: FeedbackSender, query: str = "카드", person: Any = None, id: Any = None, variant: Any = "") -> Any:
    return feedback._track(search_inputs(query, None, "SEARCH", None), person, id, variant)


@pytest.fixture
def feedback() -> FeedbackSender:
    return FeedbackSender(Feedback(KEY, log_queries=True), unconnected)


@pytest.mark.parametrize("settings", [None, Feedback(KEY)])
@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"person": 17}, TypeError, "person must be str, not int"),
        ({"id": 17}, TypeError, "search_id must be str, not int"),
        ({"id": "17"}, ValueError, "search_id: '17' is not of 32 digits"),
        ({"id": "F" * 32}, ValueError, "search_id: 'F+' is not of 32 digits"),
        ({"id": "0" * 32 + "\n"}, ValueError, "search_id: .* is not of 32 digits"),
        ({"variant": None}, TypeError, "variant must be str, not NoneType"),
        ({"variant": "가:나"}, ValueError, "variant: '가:나' is not of up to 64 characters"),
        ({"variant": "a" * 65}, ValueError, "variant: 'a+' is not of up to 64 characters"),
    ],
)
def test_a_mistake_in_a_call_is_found_whether_feedback_is_on_or_off(
    settings: Feedback | None, arguments: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=f"^{sentence}"):
        track(FeedbackSender(settings, unconnected), **arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"person_key": "a" * 16}, TypeError, "person_key must be bytes, not str"),
        ({"person_key": b"short-secret"}, ValueError, "person_key: 12 bytes are below 16"),
        ({"log_queries": 1}, TypeError, "log_queries must be bool"),
        ({"rotation_days": 0}, ValueError, "rotation_days: 0 is below 1"),
        ({"rotation_days": 367}, ValueError, "rotation_days: 367 is above 366"),
        ({"interval": 0}, ValueError, "interval: 0 is not a positive number of seconds"),
        ({"timeout": "5"}, TypeError, "timeout must be float"),
        ({"close_timeout": float("inf")}, ValueError, "close_timeout: inf"),
        ({"max_waiting": 0}, ValueError, "max_waiting: 0 is below 1"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence_without_the_key(
    arguments: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=f"^{sentence}") as caught:
        Feedback(**arguments)
    assert "secret" not in str(caught.value).replace("secrets.token_bytes", "")


def test_the_key_is_not_printed_with_the_settings() -> None:
    assert "0123456789" not in repr(Feedback(KEY))


def test_keystrokes_of_one_search_are_counted_and_others_apart(feedback: FeedbackSender) -> None:
    one, other = new_search_id(), new_search_id()
    assert [track(feedback, id=id).k for id in (one, one, other, one, None)] == [1, 2, 1, 3, 1]
    for _ in range(10_000):
        track(feedback)
    assert track(feedback, id=other).k == 1  # memory is bounded: those of long ago are forgotten


def test_a_person_is_sent_as_a_hash_only_and_not_at_all_without_a_key(feedback: FeedbackSender) -> None:
    assert re.fullmatch("[0-9a-f]{32}", track(feedback, person="user-17").person)
    assert track(feedback, person="").person == track(feedback).person == ""
    assert track(FeedbackSender(Feedback(), unconnected), person="user-17").person == ""


def test_a_query_is_taken_along_only_where_queries_are_logged(feedback: FeedbackSender) -> None:
    assert track(feedback).query == "카드"
    assert track(FeedbackSender(Feedback(KEY), unconnected)).query is None


@pytest.fixture
def result() -> SearchResult:
    """A result as a client without feedback returns it."""
    hits = (Hit(100, "송금", "송금", 0.9, "이체"), Hit(501, "환전", "환전", 0.5, "환전"))
    return track(FeedbackSender(None, unconnected)).answered(SearchResult(hits, 7), "")  # type: ignore[no-any-return]


def test_without_feedback_apps_run_unchanged_and_nothing_is_counted(result: SearchResult) -> None:
    feedback = FeedbackSender(None, unconnected)
    result.chose(result[0])
    result.abandoned()
    feedback.chose(result.ticket, result[0])
    feedback.abandoned(result.ticket)
    assert (result.ticket, len(result.search_id)) == ("", 32)
    assert feedback.flush()
    assert (feedback.counts, feedback.error) == (FeedbackCounts(0, 0, 0, 0), None)


@pytest.mark.parametrize("settings", [None, Feedback(KEY)])
def test_choosing_what_was_not_found_is_an_error_whether_feedback_is_on_or_off(
    result: SearchResult, settings: Feedback | None
) -> None:
    result = track(FeedbackSender(settings, unconnected)).answered(result, "")
    with pytest.raises(ValueError, match=r"^hit: 7 is the id of no hit"):
        result.chose(Hit(7, "카드", "카드", 0.9, "카드"))
    with pytest.raises(TypeError, match=r"^hit must be malgil\.Hit, not int$"):
        result.chose(100)  # type: ignore[arg-type]


def test_a_ticket_brings_back_the_whole_answer_but_no_query_and_no_person(answer: Answer) -> None:
    text = ticket(answer)
    assert read_ticket(text) == answer
    assert re.fullmatch(r"[A-Za-z0-9_=-]+", text)


@pytest.mark.parametrize(
    "fields",
    [
        None,
        {},
        [],
        ["0" * 32, 7, "", "", "", 1],
        ["0" * 31, 7, "", "", "", 1, []],
        ["0" * 32, -1, "", "", "", 1, []],
        ["0" * 32, True, "", "", "", 1, []],
        ["0" * 32, 7, "<script>", "", "", 1, []],
        ["0" * 32, 7, "", 5, "", 1, []],
        ["0" * 32, 7, "", "", "user-17", 1, []],
        ["0" * 32, 7, "", "", "", 0, []],
        ["0" * 32, 7, "", "", "", 1, 5],
        ["0" * 32, 7, "", "", "", 1, [[1]]],
        ["0" * 32, 7, "", "", "", 1, [[1.5, 0.5]]],
        ["0" * 32, 7, "", "", "", 1, [[1, "0.5"]]],
        ["0" * 32, 7, "", "", "", 1, [[1, float("nan")]]],
        ["0" * 32, 7, "", "", "", 1, [[1, 0.5, "a", "b"]]],
        ["0" * 32, 7, "", "", "", 1, [[1, 0.5, 3]]],
    ],
)
def test_a_forged_ticket_is_refused_and_sends_nothing(fields: Any) -> None:
    forged = base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()
    feedback = FeedbackSender(Feedback(KEY), unconnected)
    for text in (forged, "송금", "a", "[" * 9, base64.b64encode(b"[" * 9999).decode()):
        with pytest.raises(ValueError, match=r"^ticket: .* is not the ticket of a result$"):
            feedback.abandoned(text)
        with pytest.raises(ValueError, match=r"^ticket: .* is not the ticket of a result$"):
            feedback.chose(text, 1)
    with pytest.raises(TypeError, match=r"^ticket must be str, not int$"):
        feedback.chose(5, 1)  # type: ignore[arg-type]
    assert feedback.counts.waiting == 0


def test_results_can_be_cached_copied_and_compared_as_without_feedback(result: SearchResult) -> None:
    class Recorder(FeedbackSender):
        def _report(self, *events: dict[str, Any]) -> None:
            sent.extend(event["type"] for event in events)

    sent: list[str] = []
    reported = track(Recorder(Feedback(KEY), unconnected)).answered(result, "")
    assert reported == result
    assert copy.deepcopy(reported) == reported
    loaded = pickle.loads(pickle.dumps(reported))
    assert (loaded, loaded.search_id, loaded.ticket) == (reported, reported.search_id, reported.ticket)
    loaded.chose(loaded[0])  # of another process: it has no sender, but the ticket
    assert sent == ["search", "shown"]
    copy.deepcopy(reported).chose(reported[0])
    assert sent == ["search", "shown", "chosen"]
    assert "_shown" not in repr(reported)


def test_an_empty_answer_reports_the_search_and_why_it_is_empty_but_no_hits(feedback: FeedbackSender) -> None:
    sent: list[dict[str, Any]] = []
    feedback._report = lambda *events: sent.extend(events)  # type: ignore[method-assign]
    result = track(feedback).answered(SearchResult((), 7), "null")
    assert [(event["type"], event["count"], event["refused_by"]) for event in sent] == [("search", 0, "null")]
    result.abandoned()
    assert sent[-1]["type"] == "abandoned"


def test_a_bad_setting_of_a_client_is_named() -> None:
    with pytest.raises(TypeError, match=r"^feedback must be malgil\.Feedback, not bool$"):
        FeedbackSender(True, unconnected)  # type: ignore[arg-type]
