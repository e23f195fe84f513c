"""The command line of training."""

from __future__ import annotations

import subprocess
import sys

from export import ROOT

HEAVY = {"torch", "transformers", "sentence_transformers", "datasets", "peft", "bm25s", "rich", "numpy", "pydantic"}


def test_help_loads_nothing_but_the_command_line() -> None:
    code = "import sys\nfrom training.cli import main\nassert main(['--help']) == 0\nprint('\\0', *sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    help_text, _, modules = ended.stdout.rpartition("\0")
    assert "encoder" in help_text
    assert not HEAVY & {*modules.split()}
