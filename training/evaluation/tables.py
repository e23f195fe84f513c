"""The tables of a report, for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from training.evaluation.outcome import BM25, BOTH, DENSE, LEXICAL
from training.evaluation.report import Report, Row

MARKS = "* p < .05, ** p < .01 against the first encoder: McNemar's exact test on what counts 0 or 1, else the "
MARKS += "paired permutation test; not corrected for the number of comparisons."
WITHOUT_SETTINGS = "without a settings file: the weights that are shipped, no thresholds"


@dataclass(frozen=True)
class Table:
    """A table of texts: the first column's cells are names, the others' figures."""

    title: str
    header: Sequence[str]
    cells: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """The table in Markdown, under its title."""
        ruler = ["---", *["---:"] * (len(self.header) - 1)]
        lines = [f"| {' | '.join(row)} |".replace("*", "\\*") for row in (self.header, ruler, *self.cells)]
        return "\n".join([f"## {self.title}", "", *lines])


def tables(report: Report) -> list[Table]:
    """The tables of the parts that were measured."""
    return [*_korsts(report), *_queries(report), *_scope(report), *_passages(report), *_curve(report)]


def page(report: Report, commands: Sequence[str]) -> str:
    """A page of results in Markdown."""
    skipped = [f"- {sentence}" for sentence in report.skipped]
    used = [f"- {sentence}" for sentence in settings(report)]
    blocks = [
        "# Evaluation of encoders",
        "Made by:",
        "```sh\n" + "\n".join(commands) + "\n```",
        MARKS.replace("*", "\\*"),
    ]
    blocks += ["\n".join(["Lexical matches and refusals:", "", *used])] if used else []
    blocks += [table.markdown() for table in tables(report)]
    blocks += ["\n".join(["## Skipped", "", *skipped])] if skipped else []
    return "\n\n".join(blocks) + "\n"


def settings(report: Report) -> list[str]:
    """What each encoder was evaluated with, where lexical matches and null phrases were."""
    if not (report.of("queries") or report.of("scope")):
        return []
    said = [about.settings.sentence() if about.settings else WITHOUT_SETTINGS for about in report.encoders]
    if len({*said}) == 1:
        return [f"all encoders: {said[0]}"]
    return [f"{about.name}: {sentence}" for about, sentence in zip(report.encoders, said, strict=True)]


def _korsts(report: Report) -> Iterator[Table]:
    if found := report.of("korsts"):
        cells = [[str(row.encoder), _cell(row, "spearman", 2), _interval(row, "spearman", 2)] for row in found]
        title = f"KorSTS test, {found[0].count} pairs: Spearman × 100"
        yield Table(title, ["encoder", "Spearman × 100", "difference, 95 %"], cells)


def _queries(report: Report) -> Iterator[Table]:
    names = [about.name for about in report.encoders]
    for method in (DENSE, LEXICAL):
        found = report.of("queries", method=method)
        cells = []
        for kind in dict.fromkeys(row.kind for row in found):
            of_kind = {row.encoder: row for row in found if row.kind == kind}
            count = of_kind[names[0]].count
            cells.append([f"{kind} ({count})"] + [_triple(of_kind[name]) for name in names])
        if cells:
            title = f"Labelled queries, reporting half, {method}: recall@1, recall@5, MRR@10"
            yield Table(title, ["queries", *names], cells)


def _scope(report: Report) -> Iterator[Table]:
    found = report.of("scope")
    if not found:
        return
    kinds = list(dict.fromkeys(row.kind for row in found))
    metrics = {kind: next(row for row in found if row.kind == kind) for kind in kinds}
    columns = [(kind, metric) for kind in kinds for metric in metrics[kind].figures]
    cells = []
    for about in report.encoders:
        of_encoder = {row.kind: row for row in found if row.encoder == about.name}
        cells.append([about.name, *(_cell(of_encoder[kind], metric) for kind, metric in columns)])
    header = ["encoder", *(f"{kind} ({metrics[kind].count}): {metric}" for kind, metric in columns)]
    yield Table("Out-of-scope queries and null phrases", header, cells)


def _passages(report: Report) -> Iterator[Table]:
    found = report.of("passages")
    if not found:
        return
    order = [BM25, DENSE, BOTH]
    metrics = [name for name in found[0].figures if name.startswith("top-")]
    cells = [
        [row.method, row.encoder or "", *(_cell(row, metric) for metric in metrics)]
        for row in sorted(found, key=lambda row: order.index(row.method))
    ]
    title = f"KorQuAD, {found[0].count} questions: the passage asked about is among the first"
    yield Table(title, ["", "encoder", *metrics], cells)


def _curve(report: Report) -> Iterator[Table]:
    trained = sorted(
        (about for about in report.encoders if about.pairs is not None), key=lambda about: about.pairs or 0
    )
    if len({about.pairs for about in trained}) < 2:
        return
    columns = report.curve()
    cells = []
    for about in [*(one for one in report.encoders if one.pairs is None), *trained]:
        negatives = "" if about.hard_negatives is None else f"{about.hard_negatives:.0%}"
        figures = [_cell(rows[about.name], title.partition(": ")[2]) for title, rows in columns.items()]
        cells.append([about.name, f"{about.pairs or 0:,}", negatives, *figures])
    yield Table("Learning curve", ["encoder", "training pairs", "with BM25 negatives", *columns], cells)


def _triple(row: Row) -> str:
    return " ".join(_cell(row, metric) for metric in ("recall@1", "recall@5", "mrr@10"))


def _cell(row: Row, metric: str, decimals: int = 3) -> str:
    against = row.against_first.get(metric)
    mark = "" if against is None or against.p >= 0.05 else "*" if against.p >= 0.01 else "**"
    return f"{row.figures[metric]:.{decimals}f}{mark}"


def _interval(row: Row, metric: str, decimals: int) -> str:
    against = row.against_first.get(metric)
    if against is None:
        return ""
    return f"{against.difference:+.{decimals}f} ({against.low:+.{decimals}f} to {against.high:+.{decimals}f})"
