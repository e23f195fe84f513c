"""Each fault of an endpoint ends in one sentence and a code, within its bounds, and never with the key in it."""

from __future__ import annotations

import gzip
import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from export.suggest.endpoint import MOST_CHARACTERS, Answer, ask
from export.suggest.errors import SuggestError
from export.suggest.progress import Step
from export.suggest.settings import Settings
from server.ports import free_ports
from tests.llm import DONE, Behaviour, Handler, data, endpoint, event, failing, in_turn, saying, sending

pytestmark = pytest.mark.slow

KEY = "sk-secret-0123456789"
TEXT = '["이체", "돈 보내기"]'


def asked(behave: Behaviour, **fields: Any) -> tuple[Answer, list[Step], list[Any]]:
    """The answer of an endpoint, the steps until it, and the requests that it received."""
    steps: list[Step] = []
    with endpoint(behave) as server:
        settings = Settings(**{"url": server.url, "model": "m", "key": KEY, "timeout": 20.0, **fields})
        return ask("문구를 쓰세요", settings, steps.append), steps, server.requests


def refused(behave: Behaviour, **fields: Any) -> SuggestError:
    """The error that an endpoint's behaviour ends in."""
    with pytest.raises(SuggestError) as caught:
        asked(behave, **fields)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert KEY not in sentence + caught.value.detail + repr(caught.value)
    assert len(sentence) < 400
    return caught.value


def test_a_streamed_answer_arrives_whole_with_the_key_and_the_schema_sent_and_progress_told() -> None:
    answer, steps, (request,) = asked(saying(TEXT), extra={"temperature": 0.5})
    assert (answer.text, answer.cut) == (TEXT, None)
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body["model"] == "m"
    assert request.body["stream"] is True
    assert request.body["temperature"] == 0.5
    assert request.body["messages"] == [{"role": "user", "content": "문구를 쓰세요"}]
    assert request.body["response_format"]["type"] == "json_schema"
    assert steps[0] == Step("asking")
    assert steps[-1] == Step("answering", len(TEXT))


def test_no_account_of_openai_is_told_to_another_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "openai-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    _, _, (request,) = asked(saying(TEXT), key=None)
    assert "openai-secret" not in json.dumps(request.headers)
    assert "authorization" not in request.headers


def test_an_endpoint_that_does_not_stream_is_understood() -> None:
    message = {"role": "assistant", "content": TEXT}
    whole = {
        "id": "1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }  # fmt: skip
    answer, _, _ = asked(lambda handler: handler.answer(200, json.dumps(whole).encode()))
    assert (answer.text, answer.cut) == (TEXT, None)


def test_thoughts_that_come_apart_and_chunks_without_choices_are_no_part_of_the_answer() -> None:
    usage = data({"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []})
    parts = (event(reasoning_content="음…"), event(TEXT), event(finish="stop"), usage, DONE)
    answer, _, _ = asked(sending(*parts))
    assert (answer.text, answer.cut) == (TEXT, None)


@pytest.mark.parametrize("status", [400, 422, 500, 501])
def test_an_endpoint_that_knows_no_schema_is_asked_again_without_it(status: int) -> None:
    def behave(handler: Handler) -> None:
        with_schema = "response_format" in handler.server.requests[-1].body
        (failing(status, "json_schema is not supported") if with_schema else saying(TEXT))(handler)

    answer, steps, requests = asked(behave)
    assert answer.text == TEXT
    assert Step("plain") in steps
    assert len(requests) == 2


@pytest.mark.parametrize("form", ["2", "date", "missing"])
def test_a_busy_endpoint_is_asked_again_after_the_time_that_it_names(form: str) -> None:
    from email.utils import formatdate

    headers = {"2": {"retry-after": "2"}, "date": {"retry-after": formatdate(time.time() + 2.5, usegmt=True)}}
    started = time.monotonic()
    answer, steps, requests = asked(in_turn([failing(429, **headers.get(form, {})), saying(TEXT)]))
    assert answer.text == TEXT
    assert len(requests) == 2
    assert Step("again", detail="status 429") in steps
    assert time.monotonic() - started > (0.3 if form == "missing" else 1.0)


def test_a_busy_endpoint_is_asked_a_bounded_number_of_times() -> None:
    with endpoint(failing(429, "slow down", **{"retry-after": "0.1"})) as server:
        settings = Settings(server.url, "m", tries=3, timeout=20.0)
        with pytest.raises(SuggestError, match="is busy, or its quota is used up") as caught:
            ask("", settings, lambda step: None)
        assert len(server.requests) == 3
    assert caught.value.code == "busy"
    assert caught.value.detail == "slow down"


def test_an_hour_that_a_busy_endpoint_asks_for_is_told_and_not_waited_for() -> None:
    started = time.monotonic()
    error = refused(failing(429, "quota", **{"retry-after": "3600"}))
    assert error.code == "busy"
    assert "asks to wait 3600 s" in str(error)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (401, "key", "refused the key in MALGIL_LLM_KEY: bad key …"),
        (403, "key", "refused the key in MALGIL_LLM_KEY"),
        (404, "model", "has no model m (MALGIL_LLM_MODEL), or no such path"),
        (500, "server", "failed with status 500 in 2 tries"),
        (503, "server", "failed with status 503 in 2 tries"),
        (504, "timeout", "found no answer in time (status 504)"),
        (400, "refused", "refused the request with status 400"),
        (418, "refused", "refused the request with status 418"),
    ],
)
def test_a_status_is_told_in_a_sentence_with_what_the_endpoint_said_but_the_key(
    status: int, code: str, sentence: str
) -> None:
    error = refused(failing(status, f"bad key {KEY}\n\x1b[31m"), tries=2)
    assert error.code == code
    assert sentence in str(error)
    assert error.detail == "bad key … [31m"


def test_a_key_that_is_missing_is_asked_for() -> None:
    assert "wants a key: set MALGIL_LLM_KEY" in str(refused(failing(401), key=None))


@pytest.mark.parametrize(
    "content", [b"<html><body>404</body></html>", b"", b"\xff\xfe", b'"no"', b"[1]", b"{}", b"null"]
)
def test_an_error_page_of_a_proxy_is_not_shown(content: bytes) -> None:
    error = refused(lambda handler: handler.answer(404, content, "text/html"))
    assert error.code == "model"
    assert "<" not in str(error)


def test_an_address_where_nothing_listens_is_told() -> None:
    url = f"http://127.0.0.1:{free_ports().http}/v1"
    with pytest.raises(SuggestError) as caught:
        ask("", Settings(url, "m", tries=1), lambda step: None)
    assert caught.value.code == "unreachable"
    assert str(caught.value) == f"{url} cannot be reached: Connection refused"


def test_a_name_without_an_address_is_told() -> None:
    with pytest.raises(SuggestError, match="cannot be reached") as caught:
        ask("", Settings("http://nowhere.invalid/v1", "m", tries=1), lambda step: None)
    assert caught.value.code == "unreachable"


def test_an_endpoint_without_tls_at_an_https_address_is_told() -> None:
    with endpoint(saying(TEXT)) as server, pytest.raises(SuggestError) as caught:
        ask("", Settings(server.url.replace("http:", "https:"), "m", tries=1), lambda step: None)
    assert caught.value.code == "unreachable"


@pytest.mark.parametrize("streams", [False, True])
def test_a_silent_endpoint_is_waited_for_no_longer_than_told(streams: bool) -> None:
    stop = threading.Event()

    def behave(handler: Handler) -> None:
        if streams:
            handler.start()
        stop.wait(20)

    started = time.monotonic()
    try:
        error = refused(behave, timeout=1.0)
    finally:
        stop.set()
    assert error.code == "timeout"
    assert "within 1 s" in str(error)
    assert time.monotonic() - started < 6


def test_an_endless_stream_ends_at_the_bound_of_characters_and_its_text_counts() -> None:
    def behave(handler: Handler) -> None:
        handler.start()
        while True:
            handler.write(event("- 돈 보내기\n" * 500))

    answer, _, _ = asked(behave)
    assert answer.cut is not None
    assert answer.cut.code == "cut"
    assert "did not stop" in str(answer.cut)
    assert MOST_CHARACTERS < len(answer.text) < MOST_CHARACTERS + 10_000


def test_an_endless_trickle_ends_at_the_bound_of_time_and_its_text_counts() -> None:
    def behave(handler: Handler) -> None:
        handler.start()
        while True:
            handler.write(event("이체\n"))
            time.sleep(0.05)

    answer, _, _ = asked(behave, timeout=1.0)
    assert answer.cut is not None
    assert answer.cut.code == "timeout"
    assert answer.text.startswith("이체\n이체\n")


@pytest.mark.parametrize("whole", [False, True])
def test_an_answer_of_gigabytes_is_not_read(whole: bool) -> None:
    sent = 0

    def behave(handler: Handler) -> None:
        nonlocal sent
        handler.start(200, "application/json" if whole else "text/event-stream")
        while sent < 10**9:
            handler.write(b"x" * 10**6)  # one line
            sent += 10**6

    error = refused(behave)
    assert error.code == "protocol"
    assert "without an end" in str(error)
    assert sent < 10**8


def test_an_answer_of_10_megabytes_in_one_chunk_is_not_read() -> None:
    error = refused(sending(event("가" * (10 * 2**20 // 3)), event(finish="stop"), DONE))
    assert error.code == "protocol"


def test_a_compressed_answer_which_could_be_any_size_is_refused() -> None:
    content = gzip.compress(event("이체") * 100_000)
    error = refused(lambda handler: handler.answer(200, content, "text/event-stream", **{"content-encoding": "gzip"}))
    assert error.code == "protocol"


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([event("이체\n돈"), b"data: {"], "이체\n돈"),  # the connection closes
        ([event("이체\n돈")], "이체\n돈"),
        ([event("이체\n"), event("돈").replace("돈".encode(), b"\xeb\x8f")], "이체\n"),  # not UTF-8 from there
        ([event("이체\n"), b"data: nonsense\n\n"], "이체\n"),
        ([event("이체\n"), data({"error": {"message": "out of memory"}})], "이체\n"),
        ([event("이체\n"), data({"choices": 5})], "이체\n"),
        ([event("이체\n돈", "length"), DONE], "이체\n돈"),
        ([event("이체\n돈", "content_filter"), DONE], "이체\n돈"),
    ],
)
def test_of_a_stream_that_is_cut_what_came_counts_and_why_is_told(parts: list[bytes], text: str) -> None:
    answer, _, _ = asked(sending(*parts))
    assert answer.text == text
    assert answer.cut is not None
    assert str(answer.cut)


def test_a_response_shorter_than_its_length_is_cut() -> None:
    def behave(handler: Handler) -> None:
        handler.start(200, **{"content-length": "100000"})
        handler.write(event("이체\n"))

    answer, _, _ = asked(behave)
    assert answer.cut is not None
    assert answer.cut.code == "cut"


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([], "protocol"),
        ([DONE], "protocol"),
        ([event(""), event(finish="stop"), DONE], "empty"),
        ([event(" \n"), event(finish="stop"), DONE], "empty"),
        ([event(reasoning_content="음…"), event(finish="length"), DONE], "cut"),
        ([event(refusal="할 수 없습니다"), event(finish="stop"), DONE], "refused"),
        ([b"data: \xff\xfe\n\n"], "encoding"),
        ([b"data: nonsense\n\n"], "protocol"),
        ([b"hello\n\n", b"world\n\n"], "protocol"),
        (list(map(data, (5, None, [], "x", {"choices": None}))), "protocol"),
        ([data({"choices": [{"delta": {"content": 5}, "finish_reason": "stop"}]})], "empty"),
        ([data({"choices": [None]})], "protocol"),
        ([data({"error": {"message": "out of memory"}})], "server"),
        ([data({"error": "x"})], "server"),
        ([event("").rstrip(b"\n")[:20]], "protocol"),
    ],
)
def test_a_stream_without_text_is_an_error_that_says_why(parts: list[bytes], code: str) -> None:
    assert refused(sending(*parts)).code == code


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("text/html", b"<html>Welcome</html>"),
        ("application/json", b"{}"),
        ("application/json", b"[1, 2]"),
        ("application/json", b'{"choices": []}'),
        ("application/json", b"\xff"),
        ("application/json", b""),
        ("text/plain", b"ok"),
    ],
)
def test_a_server_of_another_kind_is_told(kind: str, content: bytes) -> None:
    error = refused(lambda handler: handler.answer(200, content, kind))
    assert error.code == "protocol"
    assert "is no chat completion" in str(error)


def test_a_connection_that_is_dropped_at_once_is_told() -> None:
    assert refused(lambda handler: handler.connection.close(), tries=1).code in ("cut", "unreachable")


def test_somebody_who_waits_can_cancel_and_the_endpoint_is_let_go() -> None:
    gone = threading.Event()

    def behave(handler: Handler) -> None:
        handler.start()
        try:
            while True:
                handler.write(event("이체\n"))
                time.sleep(0.02)
        except OSError:
            gone.set()

    cancelled = threading.Event()

    def progress(step: Step) -> None:
        if step.code == "answering":
            cancelled.set()

    with endpoint(behave) as server:
        with pytest.raises(SuggestError) as caught:
            ask("", Settings(server.url, "m"), progress, cancelled)
        assert caught.value.code == "cancelled"
        assert gone.wait(5)


def test_the_key_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        asked(saying(TEXT))
        refused(failing(401, f"bad key {KEY}"))
    assert caplog.records
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"url": ""}, "no endpoint: set MALGIL_LLM_URL"),
        ({"model": ""}, "no model: set MALGIL_LLM_MODEL"),
        ({"url": "localhost:8080/v1"}, "localhost:8080/v1 is no address"),
        ({"url": "ftp://host/v1"}, "ftp://host/v1 is no address"),
        ({"url": "http:///v1"}, "is no address"),
        ({"url": "http://host:99999/v1"}, "is no address"),
        ({"url": "http://host/v1\nx"}, "is no address"),
        ({"url": "http://[::1/v1"}, "is no address"),
        ({"url": f"http://user:{KEY}@host/v1"}, "put the key into MALGIL_LLM_KEY"),
        ({"url": f"http://host/v1?key={KEY}"}, "put the key into MALGIL_LLM_KEY"),
        ({"key": "한글"}, "MALGIL_LLM_KEY holds characters"),
        ({"key": f"{KEY}\nX: y"}, "MALGIL_LLM_KEY holds characters"),
        ({"extra": {"stream": False}}, "stream cannot be a further field"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_sent(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SuggestError) as caught:
        Settings(**{"url": "http://host/v1", "model": "m", **fields})
    assert caught.value.code == "settings"
    assert sentence in str(caught.value)
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_come_from_variables_and_options_count_instead_of_them() -> None:
    variables = {"MALGIL_LLM_URL": "http://a/v1", "MALGIL_LLM_MODEL": "m", "MALGIL_LLM_KEY": f" {KEY}\n"}
    settings = Settings.of(variables, model="other", timeout=None)
    assert (settings.url, settings.model, settings.key, settings.timeout) == ("http://a/v1", "other", KEY, 120.0)
    assert KEY not in repr(settings)
    assert Settings.of({**variables, "MALGIL_LLM_KEY": ""}).key is None


def test_the_prompt_of_the_settings_is_the_one_that_ships() -> None:
    assert Path(Settings("http://a/v1", "m").prompt).is_file()
