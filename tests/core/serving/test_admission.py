"""Overload is refused at once, and nothing else is."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest
from malgil_core.serving.admission import FRESH_SECONDS, STALE_COUNT, STALE_SECONDS, Admission, fetch, pending

PAGE = """\
# TYPE nv_inference_pending_request_count gauge
nv_inference_pending_request_count{model="search",version="1"} 90
nv_inference_pending_request_count{model="scorer",version="1"} 2
nv_inference_pending_request_count{model="encoder",version="1"} 41
nv_inference_count{model="encoder",version="1"} 1000
"""


class House:
    """A server whose queue a test fills and empties."""

    def __init__(self, most: int = 10) -> None:
        self.waiting = 0
        self.asked = 0
        self.now = 100.0
        self.broken = False
        self.said: list[str] = []
        self.admission = Admission(most, self._ask, self.said.append, lambda: self.now)

    def _ask(self) -> int:
        self.asked += 1
        if self.broken:
            raise ConnectionRefusedError("nobody there")
        return self.waiting

    def send(self, count: int, timeout: float = 0.0) -> list[str]:
        """What is let in waits."""
        refusals = self.admission.refusals([timeout] * count)
        self.waiting += sum(not refusal for refusal in refusals)
        return refusals

    def drain(self, seconds: float, rate: float) -> None:
        self.now += seconds
        self.waiting = max(self.waiting - round(seconds * rate), 0)


def test_what_exceeds_the_queue_is_refused_with_the_counts_and_the_rest_goes_in() -> None:
    house = House(most=10)
    refusals = house.send(14)
    assert refusals[:10] == [""] * 10
    assert refusals[10:] == ["overloaded: 10 requests wait, of 10 that may; try again later"] * 4
    house.now += 1
    assert all(house.send(3))


def test_a_queue_that_empties_takes_more_at_once() -> None:
    house = House(most=10)
    house.send(10)
    house.drain(0.5, rate=12)
    assert [bool(refusal) for refusal in house.send(8)] == [False] * 6 + [True] * 2


def test_a_server_that_keeps_up_is_hardly_asked() -> None:
    house = House(most=100)
    for _ in range(1000):
        assert not any(house.send(1))
        house.drain(0.01, rate=1000)
    assert house.asked <= 10 / STALE_SECONDS


def test_a_person_who_types_never_waits_for_the_question() -> None:
    house = House(most=100)
    house.send(1)
    for _ in range(STALE_COUNT - 1):
        house.send(1)
        house.drain(0.3, rate=100)
    assert house.asked == 0


def test_an_overload_does_not_become_a_load_of_questions() -> None:
    house = House(most=10)
    for _ in range(1000):
        house.send(5)
        house.now += 0.001
    assert house.asked <= 1000 * 0.001 / FRESH_SECONDS + 2


def test_a_request_that_would_be_answered_too_late_is_refused_before_work_is_done_for_it() -> None:
    house = House(most=100)
    for _ in range(20):  # 50 a second are answered, and 60 to 100 wait
        house.send(100)
        house.drain(0.5, rate=50)
    (refusal,) = house.send(1, timeout=0.2)
    assert refusal.startswith("overloaded: the wait is about ")
    assert refusal.endswith(" ms, and timeout 200 ms; try again later")
    assert house.send(1, timeout=5.0) == [""]


def test_an_idle_hour_does_not_make_the_queue_look_slow() -> None:
    house = House(most=100)
    house.send(100)
    house.drain(3600, rate=50)
    assert not any(house.send(100, timeout=0.1))


def test_where_the_queue_cannot_be_seen_nobody_is_refused_and_the_log_says_so_once() -> None:
    house = House(most=10)
    house.broken = True
    for _ in range(5):
        assert not any(house.send(10))
        house.now += 1
    assert len(house.said) == 1
    assert "nobody there" in house.said[0]


def test_a_bound_of_nothing_is_a_mistake_in_the_config() -> None:
    with pytest.raises(ValueError, match="max_pending is 0: it must be at least 1"):
        House(most=0)


def test_only_the_steps_behind_are_counted_or_each_request_would_count_twice() -> None:
    assert pending(PAGE, ["encoder", "scorer"]) == 43
    with pytest.raises(ValueError, match="nv_inference_pending_request_count"):
        pending("# nothing\n", ["encoder"])


@pytest.fixture
def page_url() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PAGE.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    server.server_close()


def test_metrics_are_read_past_a_proxy_of_the_environment(page_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert fetch(page_url) == PAGE


@pytest.mark.parametrize(("url", "error"), [("http://127.0.0.1:1/metrics", OSError), ("ftp://x/metrics", ValueError)])
def test_a_metrics_page_that_is_not_there_is_an_error_that_admission_knows(url: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        fetch(url)
