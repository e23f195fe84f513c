"""The comparison tells a service owner what people of each arm did, and names a winner only if there is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from feedback.cli import main
from tests.feedback.experiments.log import Session, people, write


def compared(folder: Path, *options: str) -> dict[str, Any]:
    """The figures of `python -m feedback compare trial`, as JSON."""
    file = folder.parent / "compared.json"
    assert main(["compare", "trial", "--events", str(folder), "--json", str(file), *options]) == 0
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def difference(found: dict[str, Any], metric: str) -> dict[str, Any]:
    """What it says of a metric."""
    (one,) = (each for each in found["differences"] if each["metric"] == metric)
    return dict(one)


def test_the_four_metrics_are_what_people_did(tmp_path: Path) -> None:
    sessions = [
        Session("a" * 32, "trial:a", 1, keystrokes=2), Session("a" * 32, "trial:a", 3, keystrokes=4),
        Session("b" * 32, "trial:a", 0), Session("c" * 32, "trial:b", 2, keystrokes=1),
        Session("d" * 32, "trial:b", 0), Session("e" * 32, "other:b", 1), Session("f" * 32, "", 1),
    ]  # fmt: skip
    found = compared(write(tmp_path / "events", sessions))
    assert found["arms"] == {"a": {"people": 2, "searches": 3}, "b": {"people": 2, "searches": 2}}
    values = {one["metric"]: (one["control"], one["value"]) for one in found["differences"]}
    assert values == {
        "click-through@1": (pytest.approx(1 / 3), 0.0),
        "mrr": (pytest.approx((1 + 1 / 3) / 3), 0.25),
        "abandonment": (pytest.approx(1 / 3), 0.5),
        "keystrokes": (3.0, 1.0),
    }


def test_a_better_variant_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "events", people(500, "a", 0.4, 1) + people(500, "b", 0.6, 2))
    found = compared(folder, "--metric", "click-through@1", "--effect", "0.1", "--share", "0.5")
    one = difference(found, "click-through@1")
    assert one["always"][0] > 0 < one["once"][0]
    assert one["p_always"] <= 0.05
    assert one["always"][0] < one["once"][0] < one["difference"]  # the price of looking daily
    assert found["p_split"] > 0.001
    assert "click-through@1: b is better" in capsys.readouterr().out


def test_fewer_abandoned_searches_are_better_not_worse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sessions = [Session(f"{n:032x}", f"trial:{'ab'[n % 2]}", n % 2 or (n % 4 and 2)) for n in range(800)]
    compared(write(tmp_path / "events", sessions), "--metric", "abandonment", "--effect", "0.3")
    assert "abandonment: b is better" in capsys.readouterr().out


def test_no_winner_is_named_too_early_or_without_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = write(tmp_path / "few", people(20, "a", 0.1, 1) + people(20, "b", 0.9, 2))
    assert difference(compared(few), "mrr")["always"] == [None, None]
    assert "mrr: too early, an arm has 20 people of 100" in capsys.readouterr().out
    equal = write(tmp_path / "equal", people(400, "a", 0.5, 3) + people(400, "b", 0.5, 4))
    compared(equal)
    assert "nothing is shown yet" in capsys.readouterr().out


def test_people_who_saw_both_arms_are_left_out(tmp_path: Path) -> None:
    both = [Session("9" * 32, "trial:a", 1), Session("9" * 32, "trial:b", 0)]
    found = compared(write(tmp_path / "events", both + people(5, "a", 0.5, 1) + people(5, "b", 0.5, 2)))
    assert found["mixed"] == 1
    assert [arm["people"] for arm in found["arms"].values()] == [5, 5]


def test_an_assignment_that_loses_people_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "events", people(300, "a", 0.5, 1) + people(200, "b", 0.5, 2))
    assert compared(folder, "--share", "0.5")["p_split"] < 0.001
    assert "people are not split as 0.5 says" in capsys.readouterr().out
    assert compared(folder, "--share", "0.4")["p_split"] > 0.1


def test_only_the_surface_and_the_days_that_were_asked_for_count(tmp_path: Path) -> None:
    sessions = [
        Session(
            f"{n:032x}", f"trial:{'ab'[n % 2]}", 1, days_ago=1 + 40 * (n % 3 == 0), surface="HOME" if n < 30 else ""
        )
        for n in range(60)
    ]
    folder = write(tmp_path / "events", sessions)
    assert sum(arm["searches"] for arm in compared(folder)["arms"].values()) == 60
    assert sum(arm["searches"] for arm in compared(folder, "--surface", "HOME")["arms"].values()) == 30
    assert sum(arm["searches"] for arm in compared(folder, "--days", "20")["arms"].values()) == 40


def test_interleaving_tells_whose_hits_people_prefer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sessions = [Session(f"{n:032x}", "trial:interleaved", 1, 1 + n % 3, team="b" if n % 4 else "a") for n in range(200)]
    sessions += [Session(f"{n:032x}", "trial:interleaved", 0) for n in range(200, 230)]
    found = compared(write(tmp_path / "events", sessions))["interleaving"]
    assert (found["signs"], found["searches"], found["choices"]) == ({"first": 50, "second": 150, "tied": 0}, 230, 200)
    assert found["p_once"] < found["p_always"] < 0.05
    assert found["share"] == 0.75
    assert "people prefer b" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["compare", "missing"], "no search of experiment 'missing': it has trial"),
        (["compare", "trial", "--control", "z"], "control is 'z': experiment 'trial' has a, b"),
        (["compare", "trial", "--surface", "X"], "on surface 'X'"),
    ],
)
def test_a_name_that_is_not_there_is_told_with_those_that_are(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "events", people(3, "a", 0.5, 1) + people(3, "b", 0.5, 2))
    assert main([*arguments, "--events", str(folder)]) == 1
    assert sentence in capsys.readouterr().err


def test_an_experiment_with_one_arm_is_no_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(write(tmp_path / "events", people(3, "a", 0.5, 1)))
    assert "differences" not in found
    assert "only the arm 'a'" in capsys.readouterr().out
