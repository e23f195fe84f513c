"""Commands, snippets, links and paths of the pages are right."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import SLIPS
from export import ROOT
from server.launcher import Server
from tests import commands

PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        ROOT / "client/README.md",
        ROOT / "benchmarks/results/README.md",
        ROOT / "model_repository/README.md",
    ]
)
PAGES += sorted((ROOT / "docs").glob("*.md"))
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
BLOCKS = [
    pytest.param(page, language, text, id=f"{page.relative_to(ROOT)}-{i}-{language}")
    for page in PAGES
    for i, (language, text) in enumerate(
        re.findall(r"^```(sh|python)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    )
]
LINKS = [
    pytest.param(page, target, id=f"{page.relative_to(ROOT)}-{target}")
    for page in PAGES
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    if "://" not in target
]


@pytest.mark.parametrize(("page", "language", "text"), BLOCKS)
def test_a_snippet_of_a_page_runs(
    page: Path, language: str, text: str, server: Server, index: Path, repository: Path
) -> None:
    if language == "python":
        code = text.replace("localhost:8001", server.grpc_url).replace("http://localhost:8000", server.http_url)
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
        return
    environment = {**os.environ, "MALGIL_URL": server.grpc_url}
    for line in filter(None, text.splitlines()):
        words = shlex.split(line.replace("http://localhost:8000", server.http_url))
        if words[0] in commands.TOOLS:
            commands.check(words)
            continue
        if words[0] == "make":  # that the target exists: what it runs has other tests
            words.insert(1, "--dry-run")
        if "catalog" in words and not {"check", "calibrate"} & {*words}:  # the tests' index, not the user's
            words += ["--index", str(index)]
        if {"publish", "calibrate"} & {*words}:
            words += ["--repository", str(repository)]
        if "console" in words and not {"make", "--help"} & {*words}:  # the tests' store
            words += ["--database", f"sqlite:///{index.parent}/console.db"]
        if "benchmarks" in words and not {"scoring", "--help"} & set(words):
            words += ["--url", server.grpc_url]
        if words[-3:-1] == ["quality", "--url"]:  # with fewer queries: tests/benchmarks/test_quality.py asks all
            words += ["--queries", str(SLIPS)]
        subprocess.run(words, cwd=ROOT, check=True, timeout=300, env=environment, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(("page", "target"), LINKS)
def test_a_link_of_a_page_has_a_target(page: Path, target: str) -> None:
    path, _, heading = target.partition("#")
    file = page.parent / path if path else page
    assert file.exists()
    if heading:
        assert heading in _anchors(file)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_a_page_can_be_found_from_the_readme_by_its_title(page: Path) -> None:
    title = page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    assert f"[{title}](docs/{page.name})" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_map_for_contributors_names_only_paths_that_exist() -> None:
    named = re.findall(r"`([^`\n]+)`", CONTRIBUTING.read_text(encoding="utf-8"))
    paths = [
        name for name in named if re.fullmatch(r"[\w.*/-]+(/|\.(md|py|toml|yml|pbtxt))|[\w.*-]+(/[\w.*-]+)+", name)
    ]
    assert len(paths) > 30
    assert [path for path in paths if not any(ROOT.glob(path.rstrip("/")))] == []


def test_the_map_for_contributors_covers_every_folder_and_fits_one_screen() -> None:
    section = CONTRIBUTING.read_text(encoding="utf-8").split("\n## Map\n")[1].split("\n## ")[0]
    assert len(section.splitlines()) <= 40
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = {line.split("/")[0] for line in tracked.splitlines() if line.count("/") and not line.startswith(".")}
    assert [folder for folder in folders - {"catalogs"} if f"`{folder}/" not in section] == []


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of headings: lower case, hyphens for spaces, no punctuation."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "line",
    [
        "docker compose --profile tpu up", "docker compose up", "docker compose run --rm exprot",
        "docker compose restart triton", "docker compose --profile cpu up --dettach", "docker push malgil",
        "docker build -f server/Dockerfile --target server -t registry.example.com/malgil:0.1.0 .",
        "kubectl apply -k server/k8s", "kubectl rollout status deployment/triton",
        "kubectl create configmap malgil-catalogs --from-file=finance.jsonl=catalogs/finance.jsonl",
        "kubectl create job --from=cronjob/publish now",
        "docker compose --profile cpu run --rm console account list",
        "docker compose --profile console run --rm console acount list",
        "docker compose --profile console run --rm console account add minji --role owner",
        "kubectl create secret generic malgil-console --from-file=url=url",
        "kubectl create secret generic malgil-console-first --from-file=passwords=passwords",
        "kubectl port-forward service/malgil-console 8080", "kubectl delete secret malgil-console-frist",
        "kubectl exec -i deployment/malgil-console -- python -m console imports - < catalogs/finance.jsonl",
    ],
)  # fmt: skip
def test_a_mistake_in_a_docker_or_kubectl_command_is_found(line: str) -> None:
    with pytest.raises(AssertionError):
        commands.check(line.split())
