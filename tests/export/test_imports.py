"""What export imports: only packages of its dependency group, and of those only what a command needs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import tomllib

from export import ROOT
from tests.conftest import CATALOG

HEAVY = {"onnx", "onnxruntime", "torch", "transformers", "sentence_transformers", "scipy", "matplotlib"}


def name(requirement: str) -> str:
    """The distribution that a requirement is for, its name normalised."""
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=~!\[; ]", requirement)[0]).lower()


def requirements(group: str) -> Iterator[str]:
    """The distributions of a dependency group and of the groups that it includes."""
    groups: dict[str, list[Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    for entry in groups[group]:
        if isinstance(entry, str):
            yield name(entry)
        else:
            yield from requirements(entry["include-group"])


def image_requirements() -> set[str]:
    """What server/Dockerfile installs into the export image by name: the group, the core and the client."""
    found = {*requirements("export"), "malgil", "malgil-core"}
    for folder in ("core", "client"):
        project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
        found |= {name(requirement) for requirement in project["dependencies"]}
    return found


def imported(file: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions, too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


DISTRIBUTIONS = packages_distributions()  # of each top-level module
FILES = sorted((ROOT / "export").rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_export_image_has_every_package_that_an_export_imports(file: Path) -> None:
    # The image has no endpoint's package: `suggest` says how to install it.
    installed = image_requirements() | ({*requirements("suggest")} if file.parent.name == "suggest" else set())
    for module in imported(file):
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names or top in ("export", "store"):  # the image has their folders
            continue
        assert {name(found) for found in DISTRIBUTIONS.get(top, ())} & installed, f"{module} is missing"


def test_a_package_that_no_group_names_would_be_found() -> None:
    assert {"torch", "scipy", "click", "pydantic", "tritonclient"} <= image_requirements()
    assert "pytest" not in image_requirements()
    assert {"scipy.stats", "export.encoder"} <= {module for file in FILES for module in imported(file)}


def loaded(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after some code that ends with exit status 0."""
    command = [sys.executable, "-c", f"import sys\n{code}\nprint('\\0', *sys.modules)"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {*ended.stdout.rpartition("\0")[2].split()}


def run(*words: str) -> str:
    return f"from export.__main__ import main\nassert main({list(words)}) == 0"


@pytest.mark.parametrize("words", [("--help",), ("encoder", "--help"), ("catalog", "publish", "--help")], ids=" ".join)
def test_help_loads_nothing_but_the_command_line(words: tuple[str, ...]) -> None:
    modules = loaded(run(*words))
    assert not modules & {*HEAVY, "rich", "numpy", "pydantic", "malgil_core"}


def test_checking_a_catalog_is_over_at_once() -> None:
    """Modules are counted, not seconds: seconds are the machine's."""
    modules = loaded(run("catalog", "check", str(CATALOG)))
    assert not modules & {*HEAVY, "rich", "numpy", "malgil", "tritonclient", "safetensors", "tokenizers"}
    assert len(modules - loaded("")) < 400


@pytest.mark.slow
def test_publishing_loads_neither_torch_nor_what_builds_graphs(repository: Path, tmp_path: Path) -> None:
    options = ["--offline", "--repository", str(repository), "--index", str(tmp_path)]
    modules = loaded(run("catalog", "publish", str(CATALOG), *options))
    assert "onnxruntime" in modules
    assert not modules & (HEAVY - {"onnxruntime"})
