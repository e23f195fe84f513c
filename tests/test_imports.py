"""The parts import each other only as the layout allows; each rule refuses an import that breaks it."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tomllib

from export import ROOT

# contract → a module of its sources, and a line that it must refuse there
PLANTED = {
    "core": ("core/malgil_core/text/layout.py", "import server.launcher"),
    "core-layers": ("core/malgil_core/text/layout.py", "import malgil_core.ranking.cpu"),
    "client": ("client/malgil/_retry.py", "import malgil_core.limits"),
    "store": ("store/types.py", "import export.errors"),
    "store-users": ("export/options.py", "import store.types"),
    "database": ("export/catalog/labelled.py", "import sqlalchemy"),
    "server": ("server/health.py", "import export.catalog.labelled"),
    "training": ("export/encoder/source.py", "import training.errors"),
    "documents": ("export/catalog/labelled.py", "import documents.records"),
    "documents-search": ("documents/schema.py", "import export.catalog.labelled"),
    "feedback": ("export/catalog/labelled.py", "import feedback.errors"),
    "feedback-imports": ("feedback/errors.py", "import server.launcher"),
    "duckdb": ("export/catalog/labelled.py", "import duckdb"),
    "benchmarks": ("export/catalog/labelled.py", "import benchmarks.quality"),
    "console": ("export/catalog/labelled.py", "import console.settings"),
    "console-imports": ("console/settings.py", "import server.launcher"),
    "web": ("store/types.py", "import starlette.requests"),
    "publishing": ("export/catalog/labelled.py", "import torch"),
    "language-models": ("export/catalog/labelled.py", "import openai"),
    "suggestions": ("export/catalog/labelled.py", "import export.suggest.errors"),
    "engine": ("core/malgil_core/index/reader.py", "import pymilvus"),
}
ADAPTERS = sorted(ROOT.glob("model_repository/*/1/model.py"))
# What an adapter may import beside the standard library: core, what Triton's Python backend brings, and the libraries
# whose settings belong to a process.
OF_AN_ADAPTER = {"malgil_core", "numpy", "torch", "threadpoolctl", "triton_python_backend_utils"}


def lint(root: Path, contract: str) -> subprocess.CompletedProcess[str]:
    """import-linter over the packages below a folder."""
    path = os.pathsep.join(str(root / part) for part in ("", "core", "client"))
    return subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()", "--no-cache",
         "--no-logo", "--contract", contract, str(root / "pyproject.toml")],
        cwd=root, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what import-linter reads."""
    root = tmp_path_factory.mktemp("packages")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    folders = {"malgil_core": "core", "malgil": "client"}
    for name in (folders.get(one, one) for one in settings["root_packages"] if one != "tests"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "results", "*.egg-info"))
    (root / "tests").mkdir()  # that tests are imported by nobody needs no tests
    (root / "tests" / "__init__.py").touch()
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


@pytest.mark.parametrize("contract", PLANTED)
def test_an_import_across_the_layout_is_refused_before_it_ties_two_parts_together(
    contract: str, packages: Path
) -> None:
    clean = lint(packages, contract)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    module, line = PLANTED[contract]
    file = packages / module
    text = file.read_text(encoding="utf-8")
    try:
        file.write_text(f"{text}\n{line}\n", encoding="utf-8")
        broken = lint(packages, contract)
    finally:
        file.write_text(text, encoding="utf-8")
    assert broken.returncode == 1, broken.stdout + broken.stderr
    assert "1 broken" in broken.stdout


def test_every_contract_is_tried() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {contract["id"] for contract in settings["tool"]["importlinter"]["contracts"]} == set(PLANTED)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda path: path.parts[-3])
def test_adapters_run_in_any_triton_that_has_core_and_for_the_retriever_documents(adapter: Path) -> None:
    tree = ast.parse(adapter.read_text(encoding="utf-8"))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    also = {"documents"} if adapter.parts[-3] == "retriever" else set()
    assert {name.split(".")[0] for name in imported} <= OF_AN_ADAPTER | also | sys.stdlib_module_names


def test_core_imports_neither_torch_nor_triton_nor_the_network_before_they_are_asked_for() -> None:
    modules = [
        path.relative_to(ROOT / "core").with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        for path in sorted((ROOT / "core" / "malgil_core").rglob("*.py"))
        if path.name != "cuda.py"
    ]
    forbidden = ["torch", "tritonclient", "triton_python_backend_utils", "http.client", "urllib.request", "httpx"]
    code = (
        f"import importlib, sys\nfor name in {modules}: importlib.import_module(name)\n"
        f"print([name for name in {forbidden} if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
