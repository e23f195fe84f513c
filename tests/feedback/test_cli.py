"""The command line: help at once, each command by its name."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from export import ROOT
from export.__main__ import cli as exporting
from feedback.cli import COMMANDS, cli, main
from training.cli import cli as training

HEAVY = {
    "duckdb",
    "numpy",
    "onnxruntime",
    "rich",
    "matplotlib",
    "zstandard",
    "pydantic",
    "tritonclient",
    "malgil_core.index",
}


@pytest.mark.parametrize("words", [["report", "--help"], ["pairs", "--help"], ["loop", "--help"]], ids=" ".join)
def test_the_help_of_a_command_loads_nothing_but_the_command_line(words: list[str]) -> None:
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


def test_every_command_of_the_page_parses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("people.txt", "person.key", "my_queries.jsonl", "my.jsonl", "proposals.jsonl", "null_topics.jsonl"):
        (tmp_path / name).touch()  # the reader's
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "feedback.md").read_text(encoding="utf-8")
    named = [
        shlex.split(line.removeprefix("$ ")) for line in page.splitlines() if line.startswith("$ .venv/bin/python -m ")
    ]
    groups = {"feedback": cli, "training": training, "export": exporting}
    assert len([words for words in named if words[2] == "feedback"]) >= 8
    for _, _, module, *words in named:
        parse(groups[module], words)


def parse(group: click.Group, words: list[str]) -> None:
    """Parse a command line, without running it."""
    context = click.Context(group)
    command = group.get_command(context, words[0])
    assert command is not None
    if isinstance(command, click.Group):
        parse(command, words[1:])
    else:
        command.make_context(words[0], words[1:], parent=context)
