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


class WaitingServer:
    """A server whose queue a test fills and empties."""

    def __init__(self, limit: int = 10) -> None:
        self.waiting = 0
        self.readings = 0
        self.now = 100.0
        self.broken = False
        self.reading_takes = 0.0
        self.log: list[str] = []
        self.admission = Admission(limit, self._count, self.log.append, lambda: self.now)

    def _count(self) -> int:
        self.readings += 1
        self.now += self.reading_takes
        if self.broken:
            raise ConnectionRefusedError("no server there")
        return self.waiting

    def send(self, count: int, timeout: float = 0.0) -> list[str]:
        """Send requests; the admitted ones wait."""
        refusals = self.admission.refusals([timeout] * count)
        self.waiting += sum(not refusal for refusal in refusals)
        return refusals

    def drain(self, seconds: float, rate: float) -> None:
        self.now += seconds
        self.waiting = max(self.waiting - round(seconds * rate), 0)


def test_requests_beyond_the_queue_are_refused_with_the_counts_and_the_rest_are_admitted() -> None:
    server = WaitingServer(limit=10)
    refusals = server.send(14)
    assert refusals[:10] == [""] * 10
    assert refusals[10:] == ["overloaded: 10 requests wait, of 10 that may; try again later"] * 4
    server.now += 1
    assert all(server.send(3))


def test_a_queue_that_empties_takes_more_at_once() -> None:
    server = WaitingServer(limit=10)
    server.send(10)
    server.drain(0.5, rate=12)
    assert [bool(refusal) for refusal in server.send(8)] == [False] * 6 + [True] * 2


def test_a_server_that_keeps_up_is_hardly_read() -> None:
    server = WaitingServer(limit=100)
    for _ in range(1000):
        assert not any(server.send(1))
        server.drain(0.01, rate=1000)
    assert server.readings <= 10 / STALE_SECONDS


def test_a_lone_client_never_waits_for_the_metrics() -> None:
    server = WaitingServer(limit=100)
    server.send(1)
    for _ in range(STALE_COUNT - 1):
        server.send(1)
        server.drain(0.3, rate=100)
    assert server.readings == 0


def test_an_overload_does_not_become_a_load_of_metrics_requests() -> None:
    server = WaitingServer(limit=10)
    for _ in range(1000):
        server.send(5)
        server.now += 0.001
    assert server.readings <= 1000 * 0.001 / FRESH_SECONDS + 2


def test_a_busy_machine_spends_its_time_on_refusals_not_on_slow_readings() -> None:
    server = WaitingServer(limit=10)
    server.reading_takes = 0.005
    began = server.now
    while server.now < began + 10:
        server.send(5)
        server.now += 0.001
    assert 0.08 < server.readings * server.reading_takes / (server.now - began) < 0.11
    server.reading_takes = 1.0  # however slow: what waits is looked at four times a second
    server.send(5)
    server.drain(STALE_SECONDS, rate=100)
    assert server.send(1) == [""]


def test_a_request_that_would_be_answered_too_late_is_refused_before_work_is_done_for_it() -> None:
    server = WaitingServer(limit=100)
    for _ in range(20):  # 50 a second are answered, and 60 to 100 wait
        server.send(100)
        server.drain(0.5, rate=50)
    assert server.send(100, timeout=0.2)[-1].startswith("overloaded: the wait is about ")  # full, too
    (refusal,) = server.send(1, timeout=0.2)
    assert refusal.startswith("overloaded: the wait is about ")
    assert refusal.endswith(" ms, and timeout 200 ms; try again later")
    assert server.send(1, timeout=5.0) == [""]


def test_an_idle_hour_does_not_make_the_queue_look_slow() -> None:
    server = WaitingServer(limit=100)
    server.send(100)
    server.drain(3600, rate=50)
    assert not any(server.send(100, timeout=0.1))


def test_where_the_queue_cannot_be_counted_no_request_is_refused_and_the_log_says_so_once() -> None:
    server = WaitingServer(limit=10)
    server.broken = True
    for _ in range(5):
        assert not any(server.send(10))
        server.now += 1
    assert len(server.log) == 1
    assert "no server there" in server.log[0]


def test_a_bound_of_nothing_is_a_mistake_in_the_config() -> None:
    with pytest.raises(ValueError, match="max_pending is 0: it must be at least 1"):
        WaitingServer(limit=0)


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
