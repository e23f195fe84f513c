"""Every command and snippet of the documents does what they say."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from export import ROOT
from server.launcher import Server
from tests import commands

PAGES = sorted([*ROOT.glob("*.md"), ROOT / "client/README.md", ROOT / "benchmarks/results/README.md"])
PAGES += sorted((ROOT / "docs").glob("*.md"))
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
def test_a_snippet_of_the_documents_runs(
    page: Path, language: str, text: str, server: Server, index: Path, repository: Path
) -> None:
    if language == "python":
        code = text.replace("localhost:8001", server.grpc_url).replace("http://localhost:8000", server.http_url)
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
        return
    environment = {**os.environ, "MALGIL_URL": server.grpc_url}
    for line in filter(None, text.splitlines()):
        words = shlex.split(line)
        if words[0] in commands.TOOLS:
            commands.check(words)
            continue
        if words[0] == "make":  # what it runs has tests of its own; here: there is such a target
            words.insert(1, "--dry-run")
        if "catalog" in words and "check" not in words:  # whatever the house's own index holds
            words += ["--index", str(index)]
        if "publish" in words:
            words += ["--repository", str(repository)]
        if "benchmarks" in words and not {"scoring", "--help"} & set(words):
            words += ["--url", server.grpc_url]
        subprocess.run(words, cwd=ROOT, check=True, timeout=300, env=environment, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(("page", "target"), LINKS)
def test_a_link_of_the_documents_leads_somewhere(page: Path, target: str) -> None:
    path, _, heading = target.partition("#")
    file = page.parent / path if path else page
    assert file.exists()
    if heading:
        assert heading in _anchors(file)


def _anchors(page: Path) -> set[str]:
    """What GitHub names the headings: small letters, spaces as hyphens, no punctuation."""
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
    ],
)  # fmt: skip
def test_a_mistake_in_a_line_that_only_containers_could_run_is_found(line: str) -> None:
    with pytest.raises(AssertionError):
        commands.check(line.split())
