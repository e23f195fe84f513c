"""Plots show the encoders that they are named after, with or without a Korean font."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.evaluation.conftest import SERVICES
from training.evaluation import plots
from training.evaluation.outcome import DENSE, Outcome
from training.evaluation.plots import Phrases
from training.evaluation.report import About, Report, rows


def test_a_curve_needs_encoders_trained_on_different_numbers_of_pairs(tmp_path: Path) -> None:
    outcomes = [Outcome("queries", "all", DENSE, {"recall@1": np.array([1.0, 0]), "recall@5": np.array([1.0, 1])})]
    names = ("base", "small", "large", "mined")
    measured = rows(dict.fromkeys(names, outcomes))
    about = [
        About(name, "0" * 64, 4, 8, pairs, negatives)
        for name, pairs, negatives in zip(names, (None, 100, 1000, 1000), (None, 0, 0, 1), strict=True)
    ]
    assert plots.curve(Report(about, measured), tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1000
    for few in (Report(about[:2], measured), Report(about, ())):
        assert not plots.curve(few, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_a_plane_is_drawn_without_a_warning_whatever_fonts_there_are(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(18, 8)).astype(np.float32)
    drawn = Phrases(
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.repeat(np.arange(6), 3), list("abcdef")
    )
    plots.plane({"before": drawn, "after": drawn}, tmp_path / "phrases.png")
    assert (tmp_path / "phrases.png").stat().st_size > 1000


def test_the_services_with_the_most_phrases_are_drawn() -> None:
    assert plots.most_phrased(SERVICES, 2) == SERVICES[:2]


def test_a_font_is_taken_only_if_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import font_manager

    monkeypatch.setattr(font_manager.fontManager, "ttflist", [])
    assert plots.korean_font() is None
