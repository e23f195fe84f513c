"""server/monitoring: a real Prometheus scrapes the live server, and is asked every query of board and alerts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import malgil
import pytest
import yaml

from export import ROOT
from server.launcher import Server, free_ports
from server.triton import Ports
from tests.server.test_compose import SERVICES, targets

FOLDER = ROOT / "server" / "monitoring"
GRAFANA = FOLDER / "grafana"
BOARD: dict[str, Any] = json.loads((GRAFANA / "boards" / "malgil.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
CONFIG: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
PROMETHEUS = Path(sys.prefix) / "prometheus"
ONLY_WITH_A_GPU = ("nv_gpu_memory_used_bytes", "nv_gpu_memory_total_bytes", "nv_gpu_utilization")

QUERIES = [
    pytest.param(query["expr"], id=f"{panel['title']}-{query['refId']}")
    for panel in PANELS
    for query in panel["targets"]
] + [pytest.param(query["expr"], id=query["name"]) for query in BOARD["annotations"]["list"]]


def ask(url: str, query: str) -> list[dict[str, Any]]:
    """What Prometheus answers to an instant query, with the board's variables filled in."""
    query = query.replace("$__rate_interval", "10s").replace("$instance", ".*")
    answer = httpx.get(f"{url}/api/v1/query", params={"query": query}).json()
    assert answer["status"] == "success", answer
    series: list[dict[str, Any]] = answer["data"]["result"]
    return series


def unfiltered(query: str) -> str:
    """A comparison that says 0 or 1 for each series, where it would leave out those for which it does not hold."""
    return re.sub(r" (==|!=|>=?|<=?) (?!bool )", r" \1 bool ", query)


@pytest.fixture(scope="module")
def prometheus(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Prometheus's URL; it has scraped the live server, which has been searched, a few times."""
    assert (PROMETHEUS / "prometheus").exists(), "run `make setup`, which unpacks a Prometheus"
    folder = tmp_path_factory.mktemp("prometheus")
    config = json.loads(json.dumps(CONFIG))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(FOLDER / file) for file in CONFIG["rule_files"]]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{server.ports.metrics}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    url = f"127.0.0.1:{free_ports().http}"
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(
            [
                str(PROMETHEUS / "prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={url}",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            search_until_scraped(f"http://{url}", server, folder / "log")
            yield f"http://{url}"
        finally:
            running.kill()
            running.wait()


def search_until_scraped(url: str, server: Server, log: Path) -> None:
    """Search until Prometheus has scraped often enough for a rate."""
    deadline = time.monotonic() + 60
    with malgil.SearchClient(server.grpc_url) as client:
        while time.monotonic() < deadline:
            client.search("송금")
            try:
                if ask(url, 'count_over_time(up{job="malgil"}[1m]) > 6'):
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
    pytest.fail(f"Prometheus did not scrape: {log.read_text()[-2000:]}")


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_of_the_board_has_an_answer(prometheus: str, query: str) -> None:
    series = ask(prometheus, unfiltered(query))
    if query.startswith(ONLY_WITH_A_GPU):
        assert not series, "there is a GPU here: take the series out of ONLY_WITH_A_GPU"
        return
    assert series
    assert any(one["value"][1] != "NaN" for one in series)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_watches_series_that_exist_and_is_silent_while_all_is_well(
    prometheus: str, rule: dict[str, Any]
) -> None:
    assert ask(prometheus, unfiltered(rule["expr"]))
    if rule["alert"] not in ("MalgilPublishRefused", "MalgilFailing", "MalgilSlow"):  # other tests see to those
        assert not ask(prometheus, rule["expr"])


def test_alerts_fire_when_they_should_and_say_something_readable() -> None:
    subprocess.run(
        [str(PROMETHEUS / "promtool"), "check", "config", str(FOLDER / "prometheus.yml")],
        check=True,
        capture_output=True,
    )
    tried = subprocess.run(
        [str(PROMETHEUS / "promtool"), "test", "rules", str(ROOT / "tests" / "server" / "alerts.yml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert tried.returncode == 0, tried.stdout + tried.stderr
    tests = yaml.safe_load((ROOT / "tests" / "server" / "alerts.yml").read_text(encoding="utf-8"))["tests"]
    fired = {one["alertname"] for test in tests for one in test["alert_rule_test"] if one.get("exp_alerts")}
    assert fired == {rule["alert"] for rule in RULES}


def test_p50_and_p99_of_each_step_are_told_apart(prometheus: str) -> None:
    series = ask(prometheus, 'nv_inference_request_summary_us{job="malgil"}')
    assert {(one["metric"]["model"], one["metric"]["quantile"]) for one in series} == {
        (model, quantile)
        for model in ("search", "embed", "tokenizer", "encoder", "scorer")
        for quantile in ("0.5", "0.99")
    }


def test_the_board_is_one_that_grafana_takes() -> None:
    assert BOARD["uid"]
    assert BOARD["title"]
    assert "id" not in BOARD  # a number of one Grafana's own
    identifiers = [panel["id"] for panel in BOARD["panels"]]
    assert len({*identifiers}) == len(identifiers)
    for panel in PANELS:
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        references = [query["refId"] for query in panel["targets"]]
        assert len({*references}) == len(references) > 0
        assert all(query["legendFormat"] for query in panel["targets"])
    assert SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].endswith("/malgil.json")


def test_no_panel_of_the_board_lies_over_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_board_asks_the_prometheus_that_is_provisioned_and_that_scrapes_triton() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    asked = [query["datasource"] for panel in PANELS for query in (panel, *panel["targets"])]
    asked += [one["datasource"] for one in (*BOARD["annotations"]["list"], *BOARD["templating"]["list"])]
    assert all(one == {"type": source["type"], "uid": source["uid"]} for one in asked)
    assert source["url"] == f"http://prometheus:{SERVICES['prometheus']['ports'][0].split(':')[-1]}"
    (job,) = CONFIG["scrape_configs"]
    assert job["job_name"] == "malgil"  # what every query names
    host, port = job["static_configs"][0]["targets"][0].split(":")
    assert int(port) == Ports.metrics
    gpu = SERVICES["triton-gpu"]["networks"]["default"]["aliases"]
    assert host in SERVICES
    assert gpu == [host]
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/malgil.yml").read_text())["providers"]
    mounted = targets(SERVICES["grafana"])
    assert (ROOT / mounted[provider["options"]["path"]]["source"] / "malgil.json").exists()
