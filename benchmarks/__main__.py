"""Command line: `python -m benchmarks COMMAND`; `--help` lists the commands."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import malgil
from malgil_core.catalog.reading import CatalogError
from rich.console import Console
from rich.table import Table

from benchmarks import quality_cli, sizing_cli, sweep_cli
from benchmarks.compare import COMPARISONS
from benchmarks.serving import serving
from benchmarks.soak import cli as soak_cli
from benchmarks.soak.cli import SoakError
from benchmarks.sweep_plan import SweepError
from export.progress import bar
from server.triton import SetupError

CONSOLE = Console(highlight=False)


def main(argv: list[str] | None = None) -> int:
    """Run one benchmark; its exit status."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except (SetupError, CatalogError, malgil.MalgilError, SweepError, SoakError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure a Malgil server.")
    commands = parser.add_subparsers(required=True, metavar="BENCHMARK")

    def add(name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    for command in (
        add("demo", _demo, "Ask a dozen queries and show what was understood."),
        korsts := add("korsts", _korsts, "Sentence similarity on KorSTS through the live embed ensemble."),
    ):
        command.add_argument("--url", help="gRPC HOST:PORT of a running server (default: start one)")
    korsts.add_argument("--data", type=Path, required=True, metavar="DIR", help="holds korsts/sts-test.tsv")
    scoring = add("scoring", _scoring, "Exact top-k on a CPU: libraries as ratios to the bare matrix product.")
    scoring.add_argument("--phrases", type=int, default=100_000, help="default: %(default)s")
    scoring.add_argument("--dimension", type=int, default=768, help="default: %(default)s")
    scoring.add_argument("--runs", type=int, default=9, help="default: %(default)s")
    compare = add("compare", _compare, "Ratios to in-process ceilings and to what one would run instead, in turns.")
    compare.epilog, compare.formatter_class = COMPARISONS, argparse.RawDescriptionHelpFormatter
    compare.add_argument("--only", type=_letters, metavar="a,c", help="these comparisons, a to i (default: all)")
    compare.add_argument("--runs", type=_positive, metavar="N", help="runs of each side (default: 5, quick: 2)")
    compare.add_argument("--quick", action="store_true", help="shorter runs, smaller searches for the best setting")
    compare.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write [{id, name, ratio, low, high, target, …}], and a page of the same name ending in .md",
    )
    quality_cli.add(add, CONSOLE)
    sweep_cli.add(add, CONSOLE)
    soak_cli.add(add, CONSOLE)
    sizing_cli.add(add, CONSOLE)
    return parser


def _letters(text: str) -> list[str]:
    from benchmarks.compare.run import MODULES

    letters = text.split(",")
    for letter in letters:
        if letter not in MODULES:
            raise argparse.ArgumentTypeError(f"{letter!r} is not among {', '.join(MODULES)}")
    return letters


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _demo(arguments: argparse.Namespace) -> None:
    from benchmarks import demo

    with serving(arguments.url) as url:
        demo.show(url, CONSOLE)


def _korsts(arguments: argparse.Namespace) -> None:
    from benchmarks import korsts

    path = arguments.data / "korsts" / "sts-test.tsv"
    path = path if path.exists() else arguments.data / "sts-test.tsv"
    if not path.exists():
        CONSOLE.print(f"skipped: there is no korsts/sts-test.tsv in {arguments.data}")
        return
    with serving(arguments.url) as url, bar("embedding", CONSOLE) as advance:
        figure, pairs = korsts.measure(path, url, advance)
    CONSOLE.print(f"KorSTS test, {pairs} pairs: Spearman × 100 = {figure:.2f}")


def _scoring(arguments: argparse.Namespace) -> None:
    from benchmarks import scoring

    table = Table(
        "method", "batch", "time / bare product", "lowest", "highest", "product, ms",
        title=f"exact top-{scoring.TOP_K} of {arguments.phrases:,} × {arguments.dimension}, {arguments.runs} runs",
    )  # fmt: skip
    for result in scoring.measure(arguments.phrases, arguments.dimension, (1, 64), arguments.runs):
        ratios = (f"{value:.2f}" for value in (result.ratio, result.low, result.high))
        table.add_row(result.method, str(result.batch), *ratios, f"{result.product_ms:.1f}")
    CONSOLE.print(table)
    with tempfile.TemporaryDirectory() as folder:
        seconds = scoring.load_seconds(arguments.phrases, arguments.dimension, Path(folder))
    CONSOLE.print(f"a generation of that size, from disk to ready: {seconds:.1f} s")


def _compare(arguments: argparse.Namespace) -> None:
    from benchmarks import sweep_facts
    from benchmarks.compare import page, ratios, run

    runs = arguments.runs or (2 if arguments.quick else 5)
    found: list[ratios.Ratio] = []
    try:
        for some in run.run(arguments.only or list(run.MODULES), runs, arguments.quick, CONSOLE):
            found += some
    finally:  # what was measured before an error or Ctrl-C took minutes, and is worth keeping
        if found:
            CONSOLE.print(ratios.table(found))
        if found and arguments.json:
            where = {"machine": sweep_facts.machine(), "code": sweep_facts.code()}
            written = [{**one.to_json(), **where} for one in found]
            arguments.json.write_text(json.dumps(written, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
            arguments.json.with_suffix(".md").write_text(page.page(written), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
