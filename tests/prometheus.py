"""A real Prometheus, with server/monitoring's configuration, over the live server."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import malgil
import pytest
import yaml

from export import ROOT
from server.launcher import Server
from server.ports import free_ports

BINARIES = Path(sys.prefix) / "prometheus"
FOLDER = ROOT / "server" / "monitoring"
CONFIG: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))


def ask(url: str, query: str) -> list[dict[str, Any]]:
    """What Prometheus answers to an instant query, with the board's variables filled in."""
    query = query.replace("$__rate_interval", "1m").replace("$instance", ".*")
    answer = httpx.get(f"{url}/api/v1/query", params={"query": query})
    if answer.is_server_error:  # it is still starting
        answer.raise_for_status()
    assert answer.is_success, answer.text  # the query is wrong
    series: list[dict[str, Any]] = answer.json()["data"]["result"]
    return series


@contextmanager
def scraping(server: Server, folder: Path) -> Iterator[str]:
    """A Prometheus's URL; it has scraped the live server, which has been searched, a few times.

    Its data and log go into `folder`.
    """
    assert (BINARIES / "prometheus").exists(), "run `make setup`, which unpacks a Prometheus"
    config = json.loads(json.dumps(CONFIG))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(FOLDER / file) for file in CONFIG["rule_files"]]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{server.ports.metrics}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    url = f"127.0.0.1:{free_ports().http}"
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(
            [
                str(BINARIES / "prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={url}",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            _search_until_scraped(f"http://{url}", server, folder / "log")
            yield f"http://{url}"
        finally:
            running.kill()
            running.wait()


def _search_until_scraped(url: str, server: Server, log: Path) -> None:
    """Search until Prometheus has scraped often enough for a rate."""
    deadline = time.monotonic() + 60
    with malgil.SearchClient(server.grpc_url) as client:
        while time.monotonic() < deadline:
            client.search("송금")
            try:
                if ask(url, 'count_over_time(up{job="malgil"}[1m]) > 6'):
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
    pytest.fail(f"Prometheus did not scrape: {log.read_text()[-2000:]}")
