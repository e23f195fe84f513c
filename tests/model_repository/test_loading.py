"""The model repository in a Triton that runs already, as its README says."""

from __future__ import annotations

import json
import re
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from export import ROOT
from server import processes, triton
from server.ports import free_ports

pytestmark = [pytest.mark.live, pytest.mark.slow]
README = (ROOT / "model_repository" / "README.md").read_text(encoding="utf-8")


def call(url: str, body: str | None = None) -> str:
    data = None if body is None else body.encode()
    with urllib.request.urlopen(url, data, timeout=60) as answer:
        return str(answer.read().decode())


def wait_live(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            call(f"{url}/v2/health/live")
            return
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_triton_that_runs_already_takes_the_folders_and_warns_of_no_file_in_them(
    repository: Path, index: Path, tmp_path: Path
) -> None:
    models, ports = tmp_path / "models", free_ports()
    models.mkdir()
    home = triton.find_home(tmp_path)
    url = f"http://127.0.0.1:{ports.http}"
    flags = ["--model-control-mode=explicit", f"--http-port={ports.http}", f"--grpc-port={ports.grpc}"]
    flags += [f"--model-repository={models}", f"--backend-directory={home.backends}", "--log-verbose=1"]
    environment = home.environment | {"MALGIL_METRICS_URL": f"http://127.0.0.1:{ports.metrics}/metrics"}
    with (tmp_path / "log").open("wb") as log:
        running = processes.start([str(home.binary), *flags, f"--metrics-port={ports.metrics}"], environment, log)
        try:
            wait_live(url)
            shutil.copytree(repository, models, dirs_exist_ok=True)
            for reads in ("scorer", "suggest"):  # no index beside this repository: an absolute path
                config = models / reads / "config.pbtxt"
                config.write_text(config.read_text("utf-8").replace("../../index", str(index)), "utf-8")
            loads = re.findall(r"-X POST localhost:8000(\S+)", README)
            assert len(loads) == 6
            for path in loads:
                call(url + path, "{}")
            ((path, body),) = re.findall(r"localhost:8000(\S+generate) -d '(.*)'", README)
            assert json.loads(call(url + path, body))["name"] == "송금"
            listed = json.loads(call(f"{url}/v2/repository/index", "{}"))
            assert {model["name"] for model in listed} == set(re.findall(r"^\| `(\w+)/`", README, re.MULTILINE))
        finally:
            running.terminate()
            running.wait(30)
            processes.kill_group(running)
    text = (tmp_path / "log").read_text(errors="replace")
    assert "successfully loaded 'search'" in text
    assert not re.findall(r"^.*(?:ignor|convert to integ).*$", text, re.MULTILINE | re.IGNORECASE)
