"""The KorSTS benchmark without its data."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import main


def test_without_the_data_it_says_so_and_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["korsts", "--data", str(tmp_path)]) == 0
    assert "skipped" in capsys.readouterr().out.replace("\n", " ")
