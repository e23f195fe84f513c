"""A live server refuses what exceeds its queue at once, and goes on answering the rest."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import malgil
import numpy as np
import pytest
from tritonclient import grpc

from server.launcher import Server
from server.ports import free_ports
from tests.live import inputs, texts
from tests.model_repository.test_batching import all_at_once

MOST = 8
INSTANCES = 2  # of the encoder


@pytest.fixture(scope="module")
def narrow(repository: Path, index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in which few requests may wait."""
    root = tmp_path_factory.mktemp("narrow")
    copied = root / "model_repository"
    shutil.copytree(repository, copied, copy_function=_link)
    shutil.copytree(index, root / "index")
    config = copied / "tokenizer" / "config.pbtxt"
    text = config.read_text()
    assert 'key: "max_pending" value: { string_value: "256" }' in text
    config.write_text(text.replace('string_value: "256"', f'string_value: "{MOST}"'))
    with (root / "log").open("wb") as log, Server(copied, free_ports(), log=log) as server:
        server.wait_ready()
        yield server


def test_excess_is_refused_at_once_and_costs_the_encoder_nothing(narrow: Server) -> None:
    with grpc.InferenceServerClient(narrow.grpc_url) as client:
        # A second's work or more for each instance, behind which everything else waits.
        for _ in range(INSTANCES):
            client.async_infer("encoder", inputs({"input_ids": np.full((16, 256), 4)}), lambda result, error: None)
            time.sleep(0.15)  # or they would share a batch
        before = client.get_inference_statistics("encoder").model_stats[0].inference_count
        answers = all_at_once(client, "search", [{"query": texts(["송금"])} for _ in range(40)])
        refused = [answer for answer in answers if isinstance(answer, Exception)]
        answered = len(answers) - len(refused)
        deadline = time.monotonic() + 20  # the other instance may work on, and statistics lag a response by a moment
        after = before
        while after - before < answered + 16 * INSTANCES and time.monotonic() < deadline:
            time.sleep(0.3)
            after = client.get_inference_statistics("encoder").model_stats[0].inference_count
    assert MOST <= answered <= MOST + 2  # one or two may be on their way between two steps
    assert all("UNAVAILABLE" in str(error) and "overloaded: " in str(error) for error in refused)
    assert after - before == answered + 16 * INSTANCES


@pytest.mark.live
def test_who_has_less_time_than_the_queue_takes_is_told_at_once(narrow: Server) -> None:
    stop = threading.Event()

    def load() -> None:
        with malgil.SearchClient(narrow.grpc_url, retries=0, timeout=60) as client:
            while not stop.is_set():
                try:
                    client.search("남은 용돈 어디서 봐")
                except malgil.Overloaded:
                    time.sleep(0.01)

    threads = [threading.Thread(target=load) for _ in range(2 * MOST)]
    for thread in threads:
        thread.start()
    try:
        for url in (narrow.grpc_url, narrow.http_url):
            told = set()
            deadline = time.monotonic() + 60
            with malgil.SearchClient(url, retries=0) as client:
                while "the wait is about" not in told and time.monotonic() < deadline:
                    try:
                        client.search("송금", timeout=0.02)
                    except malgil.Overloaded as error:
                        told.add("the wait is about" if "the wait is about" in str(error) else str(error))
                    except malgil.DeadlineExceeded:
                        pass
            assert "the wait is about" in told, told
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    with malgil.SearchClient(narrow.grpc_url) as client:
        assert client.search("송금")


def _link(source: str, target: str) -> None:
    (os.link if source.endswith(".onnx") else shutil.copy2)(source, target)
