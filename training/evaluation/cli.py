"""The command `python -m training evaluate`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from export import ROOT
from training.errors import TrainingError

if TYPE_CHECKING:
    from training.evaluation.run import Evaluation

CATALOGS = ROOT / "catalogs"
PARTS = ("korsts", "queries", "scope", "passages")
FILE = click.Path(dir_okay=False, exists=True, path_type=Path)
WRITTEN = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)

EPILOG = """\b
What is measured:
  korsts    rank correlation of cosines with people's scores, KorSTS test (DATA/korsts/sts-test.tsv)
  queries   recall@1, recall@5 and MRR@10 of labelled queries by kind, dense alone and with lexical matches
  scope     out-of-scope queries that null phrases leave without an answer, and what that costs
  passages  DPR's table on KorQuAD (DATA/korquad/KorQuAD_v1.0_dev.json): BM25, dense, BM25 + dense

\b
Figures are of the half of the queries, and of KorQuAD's articles, that nothing is tuned on. Each encoder is compared
with the first: McNemar's exact test on what counts 0 or 1, else a paired permutation test.

\b
Examples:
  python -m training evaluate bundled models/search
  python -m training evaluate bundled models/search --data ../data --parts passages --cache /tmp/vectors
"""


class Parts(click.ParamType["tuple[str, ...]"]):
    """Parts of the evaluation, with commas between them."""

    name = "parts"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A tuple of parts."""
        named = tuple(value.split(",")) if isinstance(value, str) else value
        for part in named:
            if part not in PARTS:
                self.fail(f"{part!r} is not among {', '.join(PARTS)}", param, ctx)
        return named


@click.command(short_help="Measure encoders: similarity, search, refusals, retrieval of passages.", epilog=EPILOG)
@click.argument("directories", nargs=-1, required=True, metavar="DIR...")
@click.option("--data", type=FOLDER, metavar="FOLDER", help="Public data sets; parts whose files it lacks are skipped.")
@click.option("--parts", type=Parts(), default=PARTS, metavar="NAMES", help="With commas.  [default: all]")
@click.option(
    "--questions", type=click.IntRange(min=1), metavar="NUMBER",
    help="KorQuAD's questions in each half, at most, drawn by hash; passages stay all.  [default: all]",
)  # fmt: skip
@click.option(
    "--cache", type=FOLDER, metavar="FOLDER",
    help="Keep embeddings here between runs, by the encoder's fingerprint (.npy, 2 kB a text).  [default: keep none]",
)  # fmt: skip
@click.option(
    "--catalog", type=FILE, default=CATALOGS / "finance.jsonl", metavar="FILE",
    help="What can be found.  [default: the sample]",
)  # fmt: skip
@click.option(
    "--queries", type=FILE, multiple=True, default=[CATALOGS / "finance_queries.jsonl"], metavar="FILE",
    help="Labelled queries; may be given more than once.  [default: the sample's]",
)  # fmt: skip
@click.option(
    "--null-topics", type=FILE, multiple=True, default=[CATALOGS / "null_topics.jsonl"], metavar="FILE",
    help="What the app does not do, beside the catalog's; may be given more than once.  [default: the sample's]",
)  # fmt: skip
@click.option(
    "--settings", type=FILE, multiple=True, metavar="FILE",
    help="What `export catalog calibrate --write` chose for one of the encoders; once for each.  [default: the weights "
    "that are shipped, no thresholds]",
)  # fmt: skip
@click.option("--device", default="cpu", show_default=True, help="Where the encoders run: cpu, cuda, …")
@click.option("--json", "json_file", type=WRITTEN, metavar="FILE", help="Write all figures, intervals and p values.")
@click.option("--page", type=WRITTEN, metavar="FILE", help="Write the tables as Markdown.")
@click.option(
    "--plots", type=FOLDER, metavar="FOLDER",
    help="Draw cosines.png (in and out of scope), phrases.png (15 services on a plane, first and last encoder) and "
    "curve.png (figures over training pairs, where cards say them).",
)  # fmt: skip
def evaluate(
    directories: Sequence[str],
    data: Path | None,
    parts: Sequence[str],
    questions: int | None,
    cache: Path | None,
    catalog: Path,
    queries: Sequence[Path],
    null_topics: Sequence[Path],
    settings: Sequence[Path],
    device: str,
    json_file: Path | None,
    page: Path | None,
    plots: Path | None,
) -> None:
    """Measure encoders, and compare each with the first.

    DIR is a sentence-transformers directory, as `python -m training encoder --out DIR` writes it, or `bundled`. All of
    it runs in PyTorch in float32; what is served in int8 is measured by `python -m benchmarks quality`.
    """
    from malgil_core.catalog.reading import read_catalog
    from rich.table import Table

    from export.catalog import labelled
    from export.console import CONSOLE
    from export.progress import bar
    from training.evaluation import encoder, run, tables

    for file in filter(None, (json_file, page)):
        if not file.absolute().parent.is_dir():
            raise TrainingError(f"{file.parent} is not a folder: make it first")
    inputs = run.Inputs(
        read_catalog(catalog, null_topics if "scope" in parts else ()),
        [one for file in queries for one in labelled.read(file)],
        parts,
        data,
        questions,
        settings,
    )
    found = encoder.directories(directories)
    made = run.evaluate(found, inputs, cache, device, lambda label: bar(label, CONSOLE))
    for table in tables.tables(made.report):
        drawn = Table(title=table.title, title_justify="left")
        for number, name in enumerate(table.header):
            drawn.add_column(name, justify="right" if number else "left")
        for cells in table.cells:
            drawn.add_row(*cells)
        CONSOLE.print(drawn)
    CONSOLE.print(tables.MARKS, *tables.settings(made.report), *made.notes, *made.report.skipped, sep="\n")
    if json_file:
        made.report.write(json_file)
    if page:
        page.write_text(tables.page(made.report, [_command()]), encoding="utf-8")
    if plots:
        for sentence in _draw(made, plots):
            CONSOLE.print(sentence)


def _draw(made: Evaluation, folder: Path) -> Iterator[str]:
    """Draw the plots; sentences about those that are left out."""
    from training.evaluation import plots

    folder.mkdir(parents=True, exist_ok=True)
    if made.scopes:
        plots.cosines(made.scopes, folder / "cosines.png")
    if made.phrases:
        ends = list(dict.fromkeys((next(iter(made.phrases)), next(reversed(made.phrases)))))
        plots.plane({name: made.phrases[name] for name in ends}, folder / "phrases.png")
        if plots.korean_font() is None:
            yield plots.NO_FONT
    if not plots.curve(made.report, folder / "curve.png"):
        yield "curve.png skipped: the cards of the encoders name fewer than two numbers of training pairs"


def _command() -> str:
    return shlex.join(["python", "-m", "training", *sys.argv[1:]])
