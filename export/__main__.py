"""Command line: `python -m export encoder`, `python -m export catalog …`, `python -m export calibrate`."""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

from malgil_core.catalog import reading as catalog
from malgil_core.index import history
from malgil_core.index.reader import GenerationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from export import ROOT
from export.catalog import calibrate, calibrate_cli, embedding, labelled
from export.catalog import cli as catalog_cli

REPOSITORY = ROOT / "model_repository"
CONSOLE = Console(highlight=False)


def main(argv: list[str] | None = None) -> int:
    """Run one command; its exit status: 0 done, 1 refused with a sentence on stderr, 2 wrong usage."""
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except (
        catalog.CatalogError,
        catalog_cli.CatalogCommandError,
        history.HistoryError,
        GenerationError,
        embedding.OtherEncoderError,
        labelled.LabelError,
        calibrate.NothingToLearnError,
        FileNotFoundError,
    ) as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("interrupted; nothing was replaced")
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description="Fill the model repository: an encoder into ONNX, a catalogue into an index generation.",
        epilog="A first time: `python -m export encoder`, then "
        "`python -m export catalog publish catalogs/finance.jsonl --offline`, then `python -m server`.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    encoder = commands.add_parser(
        "encoder",
        help="export an encoder into the model repository",
        description="Export a sentence-transformers or Hugging Face encoder into the model repository. The old files "
        "stay until the new ones have been compared with PyTorch, text by text.",
        epilog="Another precision or vocabulary is measured against fp32 with all pieces: docs/encoders.md. "
        "Examples: `python -m export encoder` (the bundled one), `python -m export encoder --precision int8`, "
        "`python -m export encoder jhgan/ko-sroberta-multitask`, `python -m export encoder ./my-model`",
    )
    encoder.add_argument(
        "source",
        nargs="?",
        default="bundled",
        help="a model directory, a hub id, or `bundled` (the default): multilingual-e5-small dequantised from 4 bits",
    )
    encoder.add_argument(
        "--precision",
        choices=("fp32", "fp16", "int8"),
        default="fp32",
        help="fp32 (the default); int8: a quarter of the size and twice as fast on CPUs; fp16: for GPUs",
    )
    encoder.add_argument(
        "--vocabulary",
        choices=("all", "ko"),
        default="all",
        help="ko: only the word pieces of Korean and Latin text; other scripts become unknown (default: all)",
    )
    encoder.add_argument(
        "--data", type=Path, help="folder with korsts/sts-test.tsv: measure the rank correlation on it, too"
    )
    _repository_option(encoder)
    encoder.set_defaults(run=_encoder)

    catalog_cli.add(commands, _repository_option, CONSOLE)
    calibrate_cli.add(commands, _repository_option, CONSOLE)
    return parser


def _repository_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--repository", type=Path, default=REPOSITORY, help="model repository (default: model_repository)"
    )


def _encoder(arguments: argparse.Namespace) -> int:
    from export.encoder import costs, parity
    from export.encoder import export as encoder
    from export.encoder.bundled import BundledError
    from export.encoder.source import UnsupportedEncoderError

    if arguments.data is not None and not (arguments.data / costs.KORSTS).exists():
        return _fail(f"{arguments.data / costs.KORSTS} is missing: --data names the folder that korsts/ is in")
    started = time.monotonic()
    table = Table("batching", "largest difference", "least cosine", "", title="parity: onnxruntime against PyTorch")
    with CONSOLE.status("") as status:

        def report(row: parity.Row) -> None:
            verdict = "ok" if row.passed else "[red]differs"
            table.add_row(row.batching, f"{row.max_difference:.1e}", f"{row.min_cosine:.7f}", verdict)

        def progress(text: str) -> None:
            status.update(text)
            if not CONSOLE.is_terminal:
                CONSOLE.print(f"  {text}")

        try:
            exported = encoder.export(
                arguments.source, arguments.repository, progress, report, arguments.precision, arguments.vocabulary
            )
        except (UnsupportedEncoderError, encoder.ParityError, BundledError, OSError, ValueError) as error:
            if table.row_count:
                CONSOLE.print(table)
            return _fail(f"{arguments.source} was not exported: {error}")
    CONSOLE.print(table)
    metadata = exported.metadata
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    size = (arguments.repository / "encoder" / "1" / "model.onnx").stat().st_size / 2**20
    CONSOLE.print(
        f"{metadata['name']}: {metadata['graph']} graph in {metadata['precision']}, "
        f"{metadata['dimension']} dimensions, {metadata['pooling']} pooling, window {metadata['max_length']}, "
        f"{size:.0f} MiB\n"
        f"exported in {time.monotonic() - started:.0f} s, peak memory {peak:.1f} GiB"
    )
    if (arguments.precision, arguments.vocabulary) != ("fp32", "all"):
        _print_costs(arguments)
    elif arguments.data is not None:
        score = costs.korsts(arguments.repository, arguments.data / costs.KORSTS)
        CONSOLE.print(f"KorSTS test, 100 × Spearman: {score:.2f}")
    return 0


def _print_costs(arguments: argparse.Namespace) -> None:
    """Export the source once more, in fp32 and with all pieces, into a folder that goes again, and compare."""
    from export.encoder import costs
    from export.encoder import export as encoder

    chosen = f"{arguments.precision}, {arguments.vocabulary} pieces"
    table = Table("", "fp32, all pieces", chosen, "ratio", title="what it costs and saves")
    with CONSOLE.status("exporting fp32 to compare with") as status, tempfile.TemporaryDirectory() as folder:
        encoder.export(arguments.source, Path(folder))
        for cost in costs.compare(Path(folder), arguments.repository, arguments.data, status.update):
            table.add_row(cost.what, cost.before, cost.after, cost.ratio)
    CONSOLE.print(table)


def _fail(text: str) -> int:
    Console(stderr=True, highlight=False, soft_wrap=True).print(escape(text))
    return 1


if __name__ == "__main__":
    sys.exit(main())
