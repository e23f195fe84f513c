"""The command `python -m benchmarks quality`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import malgil
from malgil_core.catalog.reading import read_catalog
from malgil_core.encoder import EncoderMetadata
from malgil_core.ranking.types import Floats
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks import CATALOG, NULL_TOPICS, QUERIES, SLIPS
from benchmarks.methods import MALGIL, WITH_NULL
from benchmarks.null_phrases import Empty, NullReport
from benchmarks.options import CONSOLE, FILE, FOLDER
from benchmarks.serving import serving
from export.catalog import labelled, noise, settings
from export.catalog.embedding import online
from export.catalog.labelled import OUT_OF_SCOPE, Labelled
from export.encoder import korsts
from server.launcher import REPOSITORY
from training.evaluation.corpus import Embed, as_array
from training.evaluation.settings import Used

CHUNK = 256  # texts between two steps of the bar


@click.command(short_help="Recall and MRR of four ways to search, on labelled queries.")
@click.option("--json", "file", type=FILE, help="Write {kind: {method: {metric: value}}}.")
@click.option(
    "--data",
    type=FOLDER,
    help="Public data as well: the folder with question_pair/kor_Pair_test.csv and korsts/sts-test.tsv.",
)
@click.option("--null-topics", type=FILE, default=NULL_TOPICS, help="What the app does not do. Default: the sample's.")
@click.option("--url", help="gRPC HOST:PORT of a running server, for its encoder. Default: start one.")
@click.option("--catalog", type=FILE, default=CATALOG, help="What can be found. Default: the sample.")
@click.option(
    "--queries",
    type=FILE,
    multiple=True,
    default=[QUERIES, SLIPS],
    help="Labelled queries; may be given more than once. Default: the sample's.",
)
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="What `export catalog calibrate --write` chose for the exported encoder. Default: the weights that are "
    "shipped, no thresholds.",
)
def quality(
    file: Path | None,
    data: Path | None,
    null_topics: Path,
    url: str | None,
    catalog: Path,
    queries: Sequence[Path],
    settings_file: Path | None,
) -> None:
    """Measure recall and MRR of BM25, the cosine alone, a linear mix and Malgil, without null phrases and with them.

    On labelled queries, and on what becomes of them when people mistype. Figures are of the half that nothing was
    tuned on.
    """
    from benchmarks import quality

    found = read_catalog(catalog, [null_topics])
    choices = None
    if settings_file:
        read = settings.read(settings_file, EncoderMetadata.of(REPOSITORY).fingerprint)
        choices, notes = read.choices(found.services)
        CONSOLE.print(Used.of(read).sentence(), *notes, sep="\n", soft_wrap=True)
    asked = noise.with_noise(_read(queries), found.services)
    sentences: list[str] = []
    if data and (file_of_pairs := data / quality.SENTENCES).exists():
        first, second, _ = korsts.read(file_of_pairs)
        sentences = list(dict.fromkeys([*first, *second]))
    elif data:
        CONSOLE.print(f"skipped: there is no {quality.SENTENCES} in {data}")
    with embedding(url, check=choices is not None) as embed:
        report = quality.measure(found.services, asked, embed, found.null_topics, sentences, choices)
        figures = report.figures
        if data and (pairs := data / quality.PAIRS).exists():
            figures |= quality.pairs(pairs, embed)
        elif data:
            CONSOLE.print(f"skipped: there is no {quality.PAIRS} in {data}")
    CONSOLE.print(_table(figures))
    if report.keystrokes:
        title = f"keys until the right service is among the first {quality.IN_SIGHT}:"
        CONSOLE.print(title, *report.keystrokes, sep="\n  ")
    if report.kept:
        CONSOLE.print("recall@5 of mistyped queries, of that of the same queries clean:", *report.kept, sep="\n  ")
    CONSOLE.print("what comes first where the right service is not among the first 5:", *report.confusions, sep="\n  ")
    if report.null:
        _print_null(report.null)
        figures |= {kind: _as_figures(empty) for kind, empty in report.null.empty.items()}
    if file:
        file.write_text(json.dumps(figures, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


@contextmanager
def embedding(url: str | None, check: bool = False) -> Iterator[Embed]:
    """A function that embeds queries through a live server, with a bar.

    Args:
        url: gRPC HOST:PORT of a running server; None starts one.
        check: that it embeds with the exported encoder.

    Raises:
        OtherEncoderError: it embeds with another one.
    """
    columns = (TextColumn("embedding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with serving(url) as found, malgil.SearchClient(found, timeout=60) as client:
        if check:
            online(client, found, REPOSITORY)(["송금", "카드 분실 신고"])

        def embed(texts: Sequence[str]) -> Floats:
            vectors: list[Any] = []
            with Progress(*columns, console=CONSOLE, transient=True) as bar:
                for at in bar.track(range(0, len(texts), CHUNK)):
                    vectors += [*client.embed(texts[at : at + CHUNK])]
            return as_array(vectors)

        yield embed


def _read(files: Sequence[Path]) -> list[Labelled]:
    return [one for file in files for one in labelled.read(file)]


def _table(figures: dict[str, dict[str, dict[str, float]]]) -> Table:
    table = Table("kind", "queries", title="held-out half: recall@1, recall@5, MRR@10")
    methods = list(next(iter(figures.values())))
    for method in methods:
        table.add_column(method, justify="right")
    for kind, by_method in figures.items():
        cells = [
            " ".join(f"{found[name]:.3f}" for name in ("recall@1", "recall@5", "mrr@10"))
            for found in by_method.values()
        ]
        table.add_row(kind, str(int(by_method[MALGIL]["queries"])), *cells)
    return table


def _print_null(report: NullReport) -> None:
    columns = ("by null phrase", "by floor", "by threshold", "empty")
    table = Table("kind", "queries", *columns, title=f"left empty ({report.limits})")
    for kind, empty in report.empty.items():
        shares = (empty.by_null, empty.by_floor, empty.by_threshold, empty.share)
        table.add_row(kind, str(empty.queries), *(f"{share:.3f}" for share in shares))
    CONSOLE.print(table)
    if outside := report.empty.get(OUT_OF_SCOPE):
        CONSOLE.print("out of scope and answered (nearest null topic):", *outside.answered, sep="\n  ")
    for cost in report.costs:
        CONSOLE.print(f"CPU time of ranking {cost.batch}: {cost.without:.2f} ms, with null phrases × {cost.ratio:.2f}")


def _as_figures(empty: Empty) -> dict[str, dict[str, float]]:
    shares = {"by_null": empty.by_null, "by_floor": empty.by_floor, "by_threshold": empty.by_threshold}
    return {WITH_NULL: {"empty": empty.share, **shares, "queries": empty.queries}}
