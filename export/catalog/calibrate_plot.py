"""The picture of a calibration: what thresholds and margins do to labelled queries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from export.catalog.calibrate import TOP, MarginPoint, Point
from export.errors import ExportError

CURVES = {
    "precision": f"precision among the first {TOP}",
    "recall": f"recall@{TOP}",
    "empty": "out of scope: nothing found",
}


def check_picture(file: Path) -> None:
    """Check that a picture can be written to a file.

    Raises:
        ExportError: the file's suffix stands for no picture format, or its folder is not there.
    """
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    if file.suffix.removeprefix(".").lower() not in known:
        raise ExportError(f"--plot: {file} ends with none of {', '.join(f'.{name}' for name in sorted(known))}")
    if not file.absolute().parent.is_dir():
        raise ExportError(f"--plot: {file.parent} is not a folder")


def plot(
    points: Sequence[Point], chosen: Point, file: Path, margins: Sequence[MarginPoint] = (), margin: float = 0.0
) -> None:
    """Draw precision, recall and the share of empty answers over the threshold, and over the margin."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    panels: list[tuple[str, str, float, Sequence[Any]]] = [("threshold", "default threshold", chosen.threshold, points)]
    if margins:
        panels.insert(0, ("margin", "margin of null phrases", margin, margins))
    figure, grid = pyplot.subplots(1, len(panels), figsize=(7 * len(panels), 4), layout="constrained", squeeze=False)
    for axes, (name, label, proposed, drawn) in zip(grid[0], panels, strict=True):
        x = [getattr(point, name) for point in drawn]
        for number, (value, text) in enumerate(CURVES.items()):
            if hasattr(drawn[0], value):
                axes.plot(x, [getattr(point, value) for point in drawn], f"C{number}", label=text)
        axes.axvline(proposed, color="grey", linestyle="--", label=f"proposed: {proposed:.4f}")
        axes.set(xlabel=label, ylim=(0, 1.02))
        axes.legend()
        axes.grid(alpha=0.3)
    try:
        figure.savefig(file, dpi=120)
    finally:
        pyplot.close(figure)
