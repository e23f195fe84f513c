"""What a release consists of agrees with itself: one version, a dated change log, a CI that runs what there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomllib
import yaml

from export import ROOT
from tests import commands
from tests.image import STAGES

WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
HOOKS = ROOT / ".pre-commit-config.yaml"


def version(distribution: str) -> str:
    """The version of a distribution in this repository."""
    settings = tomllib.loads((ROOT / distribution / "pyproject.toml").read_text(encoding="utf-8"))
    return str(settings["project"]["version"])


def steps() -> list[str]:
    """Every command that CI runs."""
    jobs: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
    return [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]


def test_core_client_and_images_are_of_one_version() -> None:
    released = version("client")
    assert version("core") == released
    found = (ROOT / "server" / "kubernetes").rglob("kustomization.yaml")
    images = [image for path in found for image in yaml.safe_load(path.read_text(encoding="utf-8"))["images"]]
    assert {image["newTag"] for image in images} == {released}
    deploying = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
    assert set(re.findall(r"/malgil(?:-export|-console)?:([\d.]+)", deploying)) == {released}


def test_the_change_log_says_when_this_version_was_released() -> None:
    log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[?{re.escape(version('client'))}\]? - \d{{4}}-\d\d-\d\d$", log, re.MULTILINE)


def test_the_ci_workflow_is_one_that_github_takes() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(WORKFLOW)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("step", steps())
def test_ci_runs_only_commands_that_exist(step: str) -> None:
    words = step.split()
    if words[0] == "make":
        subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, check=True, capture_output=True)
    elif words[:2] == ["docker", "build"]:
        assert "-f" in words
        assert (ROOT / words[words.index("-f") + 1]).is_file()
        assert words[words.index("--target") + 1] in STAGES
    else:
        assert "docker compose" in step
        profiles, services = re.findall(r"--profile (\w+)", step), commands.COMPOSE["services"]
        assert profiles
        for profile in profiles:
            assert any(profile in one.get("profiles", ()) for one in services.values())
        for service in re.findall(r"(?:-T|--no-TTY|--wait) (\w+)", step):
            assert {*profiles} & {*services[service]["profiles"]}


def test_ci_builds_every_image() -> None:
    targets = {step.split("--target ")[1].split()[0] for step in steps() if step.startswith("docker build")}
    assert targets == set(STAGES)


def test_the_hooks_run_programs_that_set_up_installs() -> None:
    hooks = yaml.safe_load(HOOKS.read_text(encoding="utf-8"))["repos"][0]["hooks"]
    for hook in hooks:
        program = hook["entry"].split()[0]
        assert program == "sh" or (ROOT / Path(program)).exists(), hook["id"]
