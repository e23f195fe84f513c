"""server/monitoring: a real Prometheus scrapes the live server, and is asked every query of board and alerts."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from export import ROOT
from server.ports import Ports
from tests.prometheus import BINARIES, CONFIG, FOLDER, ask
from tests.server.test_compose import SERVICES, targets

GRAFANA = FOLDER / "grafana"
BOARD: dict[str, Any] = json.loads((GRAFANA / "boards" / "malgil.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
MODELS = (
    "search", "embed", "unified", "documents", "suggest", "tokenizer", "encoder", "scorer", "retriever", "events",
)  # fmt: skip
ONLY_WITH_A_GPU = ("nv_gpu_memory_used_bytes", "nv_gpu_memory_total_bytes", "nv_gpu_utilization")

QUERIES = [
    pytest.param(query["expr"], id=f"{panel['title']}-{query['refId']}")
    for panel in PANELS
    for query in panel["targets"]
] + [pytest.param(query["expr"], id=query["name"]) for query in BOARD["annotations"]["list"]]


def unfiltered(query: str) -> str:
    """A comparison that says 0 or 1 for each series, where it would leave out those for which it does not hold."""
    return re.sub(r" (==|!=|>=?|<=?) (?!bool )", r" \1 bool ", query)


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


def test_alerts_fire_when_they_should_and_say_something_readable(tmp_path: Path) -> None:
    for name in ("prometheus.yml", "prometheus-kubernetes.yml"):
        config = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
        config["rule_files"] = [str(FOLDER / file) for file in config["rule_files"]]
        config["scrape_configs"][0].pop("kubernetes_sd_configs", None)  # Debian builds Prometheus without it
        (tmp_path / name).write_text(yaml.safe_dump(config))
        subprocess.run([str(BINARIES / "promtool"), "check", "config", str(tmp_path / name)], check=True)
    tried = subprocess.run(
        [str(BINARIES / "promtool"), "test", "rules", str(ROOT / "tests" / "server" / "alerts.yml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert tried.returncode == 0, tried.stdout + tried.stderr
    tests = yaml.safe_load((ROOT / "tests" / "server" / "alerts.yml").read_text(encoding="utf-8"))["tests"]
    fired = {one["alertname"] for test in tests for one in test["alert_rule_test"] if one.get("exp_alerts")}
    assert fired == {rule["alert"] for rule in RULES}


def test_p50_and_p99_of_each_step_are_told_apart(prometheus: str) -> None:
    series = ask(prometheus, 'nv_inference_request_summary_us{job="malgil"}')
    assert {(one["metric"]["model"], one["metric"]["quantile"]) for one in series} == {
        (model, quantile) for model in MODELS for quantile in ("0.5", "0.99")
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
