"""The power calculation answers in people and searches, and refuses what it cannot know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from feedback.cli import main
from tests.feedback.experiments.log import people, write


def asked(tmp_path: Path, *options: str) -> dict[str, Any]:
    """The figures of `python -m feedback power`."""
    file = tmp_path / "power.json"
    assert main(["power", *options, "--json", str(file)]) == 0
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def test_the_textbook_example_comes_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(tmp_path, "--baseline", "0.65", "--effect", "0.2", "--once")["people"] == 140
    assert "140 people in both arms, about 140 searches, if looked at once, at the end" in capsys.readouterr().out


def test_a_smaller_effect_needs_more_by_the_square(tmp_path: Path) -> None:
    large, small = (
        asked(tmp_path, "--metric", "mrr", "--deviation", "0.4", "--effect", effect)["people"]
        for effect in ("0.04", "0.02")
    )
    assert small / large == pytest.approx(4, rel=0.01)


def test_events_tell_what_would_have_to_be_guessed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "events", people(400, "a", 0.5, 1))
    measured = asked(tmp_path, "--from-events", "30", "--events", str(folder), "--effect", "0.05")
    named = asked(tmp_path, "--baseline", "0.5", "--searches-per-person", "3", "--correlation", "0", "--effect", "0.05")
    assert measured["people"] == pytest.approx(named["people"], rel=0.35)  # those who search often count more
    assert measured["searches"] / measured["people"] == pytest.approx(3, rel=0.1)
    assert "of 400 people in the last 30 days" in capsys.readouterr().out


def test_interleaving_needs_fewer_people(tmp_path: Path) -> None:
    drafted = asked(tmp_path, "--metric", "preference", "--effect", "0.1")["people"]
    assert 300 < drafted < 450
    assert 194 <= asked(tmp_path, "--metric", "preference", "--effect", "0.1", "--once")["people"] <= 212


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--effect", "0.02"], "baseline is missing"),
        (["--effect", "0.02", "--metric", "keystrokes"], "deviation is missing"),
        (["--effect", "0.2", "--baseline", "0.9"], "baseline is 0.9: with the effect it becomes 1.1"),
        (["--effect", "0.5", "--metric", "preference"], "effect is 0.5"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused_by_name(
    options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["power", *options]) == 1
    assert sentence in capsys.readouterr().err
