"""The pictures of a sweep: throughput and latency by length and by concurrency, and where a request's time goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.sweep.plan import Cell, Line, latest

Figures = dict[Cell, Line]
WIDTH, HEIGHT, DPI = 4.2, 3.0, 90  # inches of a panel, dots an inch
STEP_COLOURS = {"tokenizer": "tab:green", "encoder": "tab:blue", "scorer": "tab:orange"}
OTHER_COLOURS = ("tab:purple", "tab:brown", "tab:pink", "tab:olive")
LATENCY = "ms: line p50, dots p99"
BAR_ROOM = 1.18  # above the bars, for the milliseconds


def write(lines: Sequence[Line], folder: Path, stem: str) -> list[Path]:
    """Draw all pictures as FOLDER/STEM-….png.

    Returns:
        Their paths, in the order in which they are to be shown.
    """
    import matplotlib as mpl

    mpl.use("agg")
    figures = {cell: line for cell, line in latest(list(lines)).items() if "requests_per_s" in line}
    if not figures:
        return []
    drawn = {
        "throughput-by-length": _grid(figures, "length", _throughput, "requests/s"),
        "throughput-by-concurrency": _grid(figures, "concurrency", _throughput, "requests/s"),
        "latency-by-length": _grid(figures, "length", _latency, LATENCY),
        "latency-by-concurrency": _grid(figures, "concurrency", _latency, LATENCY),
        "time-by-step": _steps(figures),
    }
    paths = []
    for name, figure in drawn.items():
        paths.append(folder / f"{stem}-{name}.png")
        figure.savefig(
            paths[-1], dpi=DPI, metadata={"Software": None}, pil_kwargs={"optimize": True}
        )  # the same figures give the same file
    return paths


def _grid(figures: Figures, along: str, draw: Callable[[Any, Any, list[Line], str, str], None], label: str) -> Any:
    """A panel for each model and encoder; a line for each concurrency along lengths, or the other way round."""
    from matplotlib import colormaps, ticker

    across = "concurrency" if along == "length" else "length"
    encoders, models = _names(figures, "encoder"), _names(figures, "model")
    figure, axes = _panels(len(models), len(encoders), shared=True)
    values = sorted({getattr(cell, across) for cell in figures})
    # The last fifth of this map is too light to be read on white.
    colours = {value: colormaps["viridis"](0.8 * i / max(len(values) - 1, 1)) for i, value in enumerate(values)}
    for i, model in enumerate(models):
        for j, encoder in enumerate(encoders):
            panel = axes[i][j]
            for value in values:
                chosen = [
                    line
                    for cell, line in figures.items()
                    if (cell.encoder, cell.model, getattr(cell, across)) == (encoder, model, value)
                ]
                draw(panel, colours[value], sorted(chosen, key=lambda line: int(line[along])), along, str(value))
            ticks = sorted({getattr(cell, along) for cell in figures})
            panel.set_xscale("log", base=2)
            panel.set_yscale("log")
            panel.set_xticks(ticks, [str(tick) for tick in ticks])
            panel.minorticks_off()
            panel.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
            panel.yaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
            panel.grid(alpha=0.3)
            panel.tick_params(labelleft=True, labelbottom=True)
            panel.set_title(f"{model} · {encoder}", fontsize=9)
            panel.set_xlabel({"length": "tokens of a text", "concurrency": "clients"}[along])
            panel.set_ylabel(label)
    handles, labels = axes[0][0].get_legend_handles_labels()
    title = {"length": "tokens", "concurrency": "clients"}[across]
    figure.legend(handles, labels, title=title, loc="outside right upper", fontsize=8)
    return figure


def _throughput(panel: Any, colour: Any, lines: list[Line], along: str, label: str) -> None:
    x = [line[along] for line in lines]
    panel.plot(x, [line["requests_per_s"] for line in lines], color=colour, marker="o", markersize=3, label=label)
    unsteady = [line for line in lines if not line["stable"]]
    panel.plot(
        [line[along] for line in unsteady], [line["requests_per_s"] for line in unsteady],
        color=colour, marker="o", markersize=6, markerfacecolor="white", linestyle="",
    )  # fmt: skip


def _latency(panel: Any, colour: Any, lines: list[Line], along: str, label: str) -> None:
    x = [line[along] for line in lines]
    p50, p99 = ([line["latency_ms"][key] for line in lines] for key in ("p50", "p99"))
    panel.plot(x, p50, color=colour, marker="o", markersize=3, label=label)
    panel.plot(x, p99, color=colour, marker=".", markersize=3, linestyle=":", linewidth=1)


def _steps(figures: Figures) -> Any:
    """Shares of the mean latency: for each length, each step's queue and compute, and the rest."""
    encoders = _names(figures, "encoder")
    model = "search" if "search" in _names(figures, "model") else _names(figures, "model")[0]
    figure, axes = _panels(2, len(encoders))
    for j, encoder in enumerate(encoders):
        shown = {cell: line for cell, line in figures.items() if (cell.encoder, cell.model) == (encoder, model)}
        counts = Counter(cell.concurrency for cell in shown)
        busy = max(counts, key=lambda clients: (clients > 1, counts[clients], clients), default=1)
        for i, clients in enumerate(dict.fromkeys((min(counts, default=1), busy))):
            panel = axes[i][j]
            _bars(
                panel,
                [shown[cell] for cell in sorted(shown, key=lambda cell: cell.length) if cell.concurrency == clients],
            )
            panel.set_title(
                f"{model} · {encoder} · {'one client' if clients == 1 else f'{clients} clients'}", fontsize=9
            )
            panel.set_xlabel("tokens of a text")
            panel.set_ylabel("share of the mean latency, %")
    for panel in axes.flat:
        panel.set_visible(bool(panel.patches))
    handles, labels = next(panel for panel in axes.flat if panel.patches).get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside right upper", fontsize=8)
    return figure


def _bars(panel: Any, lines: list[Line]) -> None:
    names = [str(line["length"]) for line in lines]
    below = [0.0] * len(lines)
    for label, colour, alpha, shares in _shares(lines):
        panel.bar(names, shares, bottom=below, color=colour, alpha=alpha, label=label, width=0.8)
        below = [low + share for low, share in zip(below, shares, strict=True)]
    for i, line in enumerate(lines):
        mean = line["latency_ms"]["mean"]
        took = f"{mean:.3g} ms" if mean < 999.5 else f"{mean / 1000:.1f} s"
        panel.text(i, 102, took, ha="center", fontsize=7)
    panel.set_ylim(0, 100 * BAR_ROOM)
    panel.set_yticks(range(0, 101, 20))


def _shares(lines: list[Line]) -> list[tuple[str, str, float, list[float]]]:
    """What the bars are made of, from below: label, colour, opacity, and each line's per cent."""
    found = []
    rest = [100.0] * len(lines)
    steps = list(dict.fromkeys(name for line in lines for name in line["steps"]))
    others = iter(OTHER_COLOURS)
    for name in steps:
        colour = STEP_COLOURS.get(name) or next(others, "tab:gray")
        for kind, alpha, keys in (
            ("queue", 0.45, ("queue_ms",)),
            ("compute", 1.0, ("input_ms", "infer_ms", "output_ms")),
        ):
            shares = [_share(line, name, keys) for line in lines]
            found.append((f"{name}, {kind}", colour, alpha, shares))
            rest = [left - share for left, share in zip(rest, shares, strict=True)]
    found.append(("ensemble, gRPC, client", "lightgray", 1.0, [max(left, 0.0) for left in rest]))
    return found


def _share(line: Line, step: str, keys: tuple[str, ...]) -> float:
    """Per cent of the mean latency, or of all steps together where they are more.

    They can be: Triton starts the next step while it still counts time for the output of the one before.
    """
    took = {name: {k: float(v) for k, v in parts.items() if k.endswith("_ms")} for name, parts in line["steps"].items()}
    total = max(float(line["latency_ms"]["mean"]), sum(sum(parts.values()) for parts in took.values()))
    return 100 * sum(took.get(step, {}).get(key, 0.0) for key in keys) / total


def _panels(rows: int, columns: int, shared: bool = False) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH * columns + 1.4, HEIGHT * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, sharex=shared, sharey=shared)


def _names(figures: Figures, field: str) -> list[str]:
    return list(dict.fromkeys(getattr(cell, field) for cell in figures))
