"""The command line: help at once, each command by its name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from export import ROOT
from feedback.cli import COMMANDS, cli, main

HEAVY = {"duckdb", "numpy", "onnxruntime", "rich", "matplotlib", "zstandard", "pydantic", "tritonclient", "malgil_core.index"}


@pytest.mark.parametrize("words", [["--help"], ["pairs", "--help"], ["loop", "--help"]], ids=" ".join)
def test_help_loads_nothing_but_the_command_line(words: list[str]) -> None:
    code = f"import sys\nfrom feedback.cli import main\nassert main({words}) == 0\nprint('\\0', *sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    help_text, _, modules = ended.stdout.rpartition("\0")
    assert "Usage: " in help_text
    assert not HEAVY & {*modules.split()}


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        assert main([name, "--help"]) == 0
        assert capsys.readouterr().out.startswith(f"Usage: python -m feedback {name} ")
    assert main(["nothing"]) == 2
    assert set(cli.list_commands(None)) == set(COMMANDS)  # type: ignore[arg-type]
