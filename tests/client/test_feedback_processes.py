"""Feedback where processes fork and end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.client.fake_triton import SERVERS, Scenario

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

HEAD = """
import os, sys, time
from malgil import Feedback, SearchClient
settings = Feedback(b"0123456789abcdef", log_queries=True, interval=60, close_timeout=float(sys.argv[2]))
client = SearchClient(sys.argv[1], timeout=60, feedback=settings)
"""


def run(code: str, url: str, close_timeout: float = 60) -> float:
    """Run the program to its end; the seconds that it took."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", HEAD + code, url, str(close_timeout)], cwd=ROOT, check=True, timeout=200)
    return time.monotonic() - began


def choices(scenario: Scenario) -> Counter[str]:
    """The queries by the number of events of their searches, with the number of choices at the end."""
    counted = Counter(event["query"] for event in scenario.events if event["type"] == "search")
    return counted + Counter(event["type"] for event in scenario.events if event["type"] == "chosen")


@pytest.mark.parametrize("protocol", SERVERS)
@pytest.mark.parametrize(
    "end", ["", "sys.exit(0)", "raise SystemExit(0)", "import asyncio; asyncio.run(asyncio.sleep(0))"]
)
def test_a_program_that_ends_without_closing_loses_no_event(protocol: str, end: str) -> None:
    with SERVERS[protocol](scenario := Scenario()) as url:
        run(f"result = client.search('카드'); result.chose(result[0])\n{end}", url)
    assert choices(scenario) == {"카드": 1, "chosen": 1}


@pytest.mark.parametrize("protocol", SERVERS)
def test_a_program_that_fails_still_reports_what_came_before(protocol: str) -> None:
    with SERVERS[protocol](scenario := Scenario()) as url, pytest.raises(subprocess.CalledProcessError):
        run("client.search('카드'); raise RuntimeError('as if by a defect of the app')", url)
    assert choices(scenario) == {"카드": 1}


@pytest.mark.parametrize("protocol", SERVERS)
def test_a_program_ends_in_the_stated_time_while_the_server_hangs(protocol: str) -> None:
    with SERVERS[protocol](scenario := Scenario()) as url:
        quick = run("client.search('카드'); os._exit(0)", url)
        scenario.event_delay = 12
        assert run("client.search('카드')", url, close_timeout=1) - quick < 10  # and what the machine is busy with
        scenario.event_delay = 0


FORKED = """
before = client.search('전')
child = os.fork()
if child == 0:
    before.chose(before[0])
    assert client.feedback.counts.waiting, client.feedback.counts
    assert client.feedback.flush(60), client.feedback.error
    os._exit(0)
_, status = os.waitpid(child, 0)
client.search('부모')
assert client.feedback.flush(60)
assert status == 0
"""


@pytest.mark.parametrize("protocol", SERVERS)
def test_after_a_fork_each_process_reports_its_own_events_once(protocol: str) -> None:
    with SERVERS[protocol](scenario := Scenario()) as url:
        run(FORKED, url)
    assert choices(scenario) == {"전": 1, "부모": 1, "chosen": 1}


WORKERS = """
from threading import Thread
stop = False
def busy():
    while not stop:
        client.search('부모')
threads = [Thread(target=busy, daemon=True) for _ in range(4)]
for thread in threads: thread.start()
children = []
for _ in range(8):
    time.sleep(0.05)
    child = os.fork()
    if child == 0:
        with SearchClient(sys.argv[1], timeout=60, feedback=settings) as own:
            result = own.search('아이')
            result.chose(result[0])
        os._exit(0 if own.feedback.counts.sent == 3 else 1)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
stop = True
for thread in threads: thread.join()
"""


def test_forks_in_the_midst_of_searches_do_not_hang_the_children() -> None:
    with SERVERS["http"](scenario := Scenario()) as url:
        run(WORKERS, url)
    counted = choices(scenario)
    assert (counted["아이"], counted["chosen"]) == (8, 8)
    assert counted["부모"] == sum(model == "search" for model, _ in scenario.requests) - 8


def test_the_client_starts_no_thread_and_needs_no_fork_where_there_is_no_feedback() -> None:
    code = "import threading, malgil; malgil.SearchClient('http://localhost:1'); assert threading.active_count() == 1"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)
