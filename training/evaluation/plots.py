"""Plots of a report: cosines in and out of scope, the catalog's phrases on a plane, the learning curve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from malgil_core.catalog.service import Service
from malgil_core.ranking.types import Floats

from training.evaluation.report import Report
from training.evaluation.scope import Scope

SERVICES = 15
BINS = 40
HANGUL = (
    "Noto Sans CJK KR", "Noto Sans KR", "NanumGothic", "NanumBarunGothic", "NanumSquare", "Malgun Gothic",
    "Apple SD Gothic Neo", "AppleGothic", "UnDotum", "Baekmuk Dotum",
)  # fmt: skip
NO_FONT = "no Korean font is installed (fonts-nanum or fonts-noto-cjk on Debian): services are drawn by their ids"


@dataclass(frozen=True)
class Phrases:
    """The phrases of some services, embedded by one encoder.

    Attributes:
        vectors: unit rows, [phrases, D].
        services: index of the service of each phrase, [phrases].
        labels: of the services.
    """

    vectors: Floats
    services: Any
    labels: Sequence[str]


def most_phrased(services: Sequence[Service], count: int = SERVICES) -> list[Service]:
    """The open services with the most phrases, the smaller id first among equals."""
    return sorted((one for one in services if one.open), key=lambda one: (-len(one.phrases), one.id))[:count]


def korean_font() -> str | None:
    """The name of an installed font with Hangul, None without one."""
    from matplotlib import font_manager

    known = {font.name for font in font_manager.fontManager.ttflist}
    return next((name for name in HANGUL if name in known), None)


def cosines(scopes: Mapping[str, Scope], file: Path) -> None:
    """Draw the distribution of the nearest service's cosine, for queries in and out of scope."""
    with _figure(file, len(scopes), height=2.6) as panels:
        for panel, (name, scope) in zip(panels, scopes.items(), strict=True):
            lowest = min(scope.inside.min(), scope.outside.min())
            edges = np.linspace(lowest - 0.01, 1.01, BINS)  # an encoder that sees nothing finds all at cosine 1
            for values, label in ((scope.inside, "in scope"), (scope.outside, "out of scope")):
                panel.hist(values, edges, density=True, alpha=0.6, label=f"{label} ({len(values)})")
            panel.set(title=name, xlabel="cosine with the nearest service", yticks=[])
        panels[0].legend(fontsize="small")


def plane(before_after: Mapping[str, Phrases], file: Path, seed: int = 0) -> None:
    """Draw the phrases of services on a plane, by t-SNE, one panel for each encoder.

    The silhouette above each is of the embeddings themselves, by cosine: 1 where services lie apart, 0 where they mix.
    """
    from sklearn.manifold import TSNE
    from sklearn.metrics import silhouette_score
    from threadpoolctl import threadpool_limits

    # Some hundred points: several threads would wait for each other longer than they compute.
    with threadpool_limits(1), _figure(file, len(before_after), height=4.2, font=korean_font()) as panels:
        for panel, (name, phrases) in zip(panels, before_after.items(), strict=True):
            perplexity = min(15.0, (len(phrases.vectors) - 1) / 3)
            made = TSNE(metric="cosine", init="random", perplexity=perplexity, random_state=seed, n_jobs=1)
            places = made.fit_transform(phrases.vectors)
            apart = silhouette_score(phrases.vectors, phrases.services, metric="cosine")
            for number, label in enumerate(phrases.labels):
                of_service = places[phrases.services == number]
                colour = f"C{number % 10}"
                marker = "o^"[number // 10 % 2]
                panel.scatter(*of_service.T, s=14, color=colour, marker=marker)
                panel.annotate(label, of_service.mean(axis=0), color=colour, fontsize=8, ha="center")
            panel.set(title=f"{name} (silhouette {apart:.2f})", xticks=[], yticks=[])


def curve(report: Report, file: Path) -> bool:
    """Draw figures over the number of training pairs, with and without BM25 negatives; False if there is no curve."""
    trained = [about for about in report.encoders if about.pairs]
    pairs = sorted({about.pairs or 0 for about in trained})
    drawn = report.curve()
    if len(pairs) < 2 or not drawn:
        return False
    untrained = next((about for about in report.encoders if about.pairs is None), None)
    with _figure(file, len(drawn), height=2.8) as panels:
        for panel, (title, by_encoder) in zip(panels, drawn.items(), strict=True):
            figures = {name: row.figures[title.partition(": ")[2]] for name, row in by_encoder.items()}
            for mined, label in ((False, "without BM25 negatives"), (True, "with BM25 negatives")):
                line = sorted((a.pairs or 0, figures[a.name]) for a in trained if bool(a.hard_negatives) == mined)
                if line:
                    panel.plot(*zip(*line, strict=True), marker="o" if mined else "s", label=label)
            if untrained:
                panel.axhline(figures[untrained.name], color="grey", linestyle="--", label=untrained.name)
            panel.set(title=title, xlabel="training pairs", xscale="log")
            panel.set_xticks(pairs, [f"{count:,}" for count in pairs])
            panel.minorticks_off()
            panel.grid(alpha=0.3)
        panels[0].legend(fontsize="x-small")
    return True


@contextmanager
def _figure(file: Path, panels: int, height: float, font: str | None = None) -> Iterator[list[Any]]:
    """The panels of a figure, side by side; the figure is written at the end."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    family = {"font.family": [font, "DejaVu Sans"]} if font else {}
    with mpl.rc_context({**family, "axes.unicode_minus": False, "font.size": 9}):
        width = min(4.2, 13 / panels)
        figure, axes = pyplot.subplots(1, panels, figsize=(width * panels, height), layout="constrained", squeeze=False)
        try:
            yield list(axes[0])
            figure.savefig(file, dpi=100)
        finally:
            pyplot.close(figure)
