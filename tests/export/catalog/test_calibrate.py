"""Thresholds proposed from labelled queries: the curve, the proposal, and bad labels."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import CATALOG, QUERIES
from export import ROOT
from export.__main__ import main
from export.catalog import calibrate, labelled
from export.catalog.calibrate import Answer, NothingToLearnError

INSIDE = [
    Answer(1, [1, 2], np.array([0.9, 0.8], np.float32), [False, False]),
    Answer(2, [3, 2], np.array([0.7, 0.6], np.float32), [False, False]),
]
OUTSIDE = [
    Answer(None, [1], np.array([0.65], np.float32), [False]),
    Answer(None, [4], np.array([0.85], np.float32), [False]),
]


def test_precision_recall_and_empty_answers_are_those_of_the_textbook() -> None:
    point = calibrate.at(0.6, INSIDE + OUTSIDE)
    assert (point.precision, point.recall, point.empty) == (0.5, 1.0, 0.0)
    point = calibrate.at(0.75, INSIDE + OUTSIDE)
    assert (point.precision, point.recall, point.empty) == (0.5, 0.5, 0.5)
    point = calibrate.at(0.95, INSIDE + OUTSIDE)
    assert (point.precision, point.recall, point.empty) == (1.0, 0.0, 1.0)


def test_a_service_s_threshold_is_not_replaced_by_the_default_one() -> None:
    fixed = Answer(None, [9], np.array([0.5], np.float32), [True])
    assert calibrate.at(0.9, [*INSIDE, fixed]).empty == 0


def test_the_highest_threshold_is_proposed_that_costs_no_more_recall_than_allowed() -> None:
    points = calibrate.curve(INSIDE + OUTSIDE)
    free, half = calibrate.propose(points, 0.0), calibrate.propose(points, 0.5)
    assert free.recall == points[0].recall == 1
    assert free.threshold == pytest.approx(0.6, abs=0.01)  # of the right hit in the second place
    assert half.recall == 0.5
    assert half.empty >= free.empty


@pytest.mark.parametrize("only", [INSIDE, OUTSIDE])
def test_no_threshold_is_proposed_from_queries_of_one_sort(only: list[Answer]) -> None:
    with pytest.raises(NothingToLearnError, match="both sorts are needed"):
        calibrate.curve(only)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"query": "송금"}', "a labelled query is"),
        ('{"query": "송금", "id": 1, "label": 2}', "a labelled query is"),
        ('{"query": " ", "id": 1}', "query must be"),
        ('{"query": "송금", "id": true}', "id is true"),
        ('{"query": "송금", "id": "1"}', 'id is "1"'),
        ('{"query": "송금", "id": 1, "kind": 3}', "kind must be"),
        ("[1]", "a labelled query is"),
        ("{", "Expecting property name"),
        ("\xff", "Expecting value"),
    ],
)
def test_a_bad_label_is_named_by_file_and_line(tmp_path: Path, line: str, sentence: str) -> None:
    file = tmp_path / "queries.jsonl"
    file.write_text('{"query": "이체", "id": null}\n\n' + line + "\n", encoding="utf-8")
    with pytest.raises(labelled.LabelError, match=f"queries.jsonl:3: {sentence}"):
        labelled.read(file)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("curves.foo", "ends with none of "), ("curves", "ends with none of "), ("absent/curves.png", "is not a folder")],
)
def test_a_picture_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, name: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The catalog and the queries do not exist: reading them would be refused first."""
    assert main(["catalog", "calibrate", "catalog", "--queries", "queries", "--plot", str(tmp_path / name)]) == 1
    assert sentence in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_proposes_a_threshold_and_draws_the_curves(repository: Path, tmp_path: Path) -> None:
    picture = tmp_path / "curves.png"
    command = [sys.executable, "-m", "export", "catalog", "calibrate", str(CATALOG), "--queries", str(QUERIES)]
    options = ["--repository", str(repository), "--plot", str(picture), "--steps", "2"]
    ended = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "proposed: --default-threshold 0." in ended.stdout
    assert "on the half of the queries that nothing was chosen on" in ended.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
