"""Two commands that write at once would spoil each other's counts: one is refused, on either engine."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from documents import lease
from documents.engine import Engine
from documents.lease import LeaseError

pytestmark = [pytest.mark.live, pytest.mark.slow]


def test_a_second_ingest_is_refused_with_a_sentence_and_may_start_when_the_first_has_ended(engine: Engine) -> None:
    with lease.held(engine, "ingest", "leased"):
        with pytest.raises(LeaseError, match=r"^another ingest is under way, since \d{4}-"):
            lease.held(engine, "delete", "leased").__enter__()
        with lease.held(engine, "ingest", "other"):
            pass
    with lease.held(engine, "delete", "leased"):
        pass


def test_of_many_that_start_at_once_never_do_two_write(engine: Engine) -> None:
    writing, most, held = 0, 0, threading.Lock()
    start = threading.Barrier(6)

    def work() -> None:
        nonlocal writing, most
        start.wait()
        with contextlib.suppress(LeaseError), lease.held(engine, "ingest", "leased"):
            with held:
                writing += 1
                most = max(most, writing)
            time.sleep(1)
            with held:
                writing -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most <= 1
    with lease.held(engine, "ingest", "leased"):  # all have given back what they added
        pass


def test_a_long_ingest_keeps_its_lease_and_a_killed_one_loses_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lease.EXPIRY_SECONDS < 60
    monkeypatch.setattr(lease, "EXPIRY_SECONDS", 3.0)
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.5)
    with lease.held(engine, "ingest", "leased"):
        time.sleep(5)
        with pytest.raises(LeaseError):
            lease.held(engine, "ingest", "leased").__enter__()
    killed = lease._Lease(engine, "ingest", "leased_lease")
    killed.take()  # and never renews
    with pytest.raises(LeaseError):
        lease.held(engine, "ingest", "leased").__enter__()
    time.sleep(4)
    with lease.held(engine, "ingest", "leased"):
        pass
