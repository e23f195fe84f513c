"""Command line: `python -m export encoder`, `python -m export catalog …`, `python -m export calibrate`."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from export import ROOT, calibrate, calibrate_cli, catalog, embedding, generations, labelled

REPOSITORY = ROOT / "model_repository"
INDEX = ROOT / "index"
CONSOLE = Console(highlight=False)


def main(argv: list[str] | None = None) -> int:
    """Run one command; its exit status: 0 done, 1 refused with a sentence on stderr, 2 wrong usage."""
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except (
        catalog.CatalogError,
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

    catalogs = commands.add_parser("catalog", help="check and publish catalogues of services")
    actions = catalogs.add_subparsers(required=True, metavar="ACTION")
    publish = actions.add_parser(
        "publish",
        help="embed a catalogue and make it the one that serves",
        description="Validate a catalogue, embed what is new in it, write an index generation and make it serve. "
        "A running server takes it up within a second.",
        epilog="example: `python -m export catalog publish catalogs/finance.jsonl --offline`",
    )
    publish.add_argument("file", type=Path, help="the catalogue: JSON Lines, one service a line")
    publish.add_argument(
        "--offline", action="store_true", help="embed in this process instead of through the running server"
    )
    publish.add_argument("--url", default="127.0.0.1:8001", help="gRPC address of the server (default: %(default)s)")
    publish.add_argument("--index", type=Path, default=INDEX, help="index folder (default: index)")
    publish.add_argument(
        "--default-threshold",
        type=_threshold,
        metavar="SCORE",
        help="least score of services without a threshold of their own, -1 to 1 (default: none)",
    )
    _repository_option(publish)
    publish.set_defaults(run=_publish)
    calibrate_cli.add(commands, _repository_option, CONSOLE)
    check = actions.add_parser("check", help="validate a catalogue and say what is wrong in which line")
    check.add_argument("file", type=Path, help="the catalogue: JSON Lines, one service a line")
    check.set_defaults(run=_check)
    return parser


def _repository_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--repository", type=Path, default=REPOSITORY, help="model repository (default: model_repository)"
    )


def _threshold(text: str) -> float:
    value = float(text)
    if not -1 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not from -1 to 1")
    return value


def _encoder(arguments: argparse.Namespace) -> int:
    from export import costs, encoder, parity
    from export.bundled import BundledError
    from export.source import UnsupportedEncoderError

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
    from export import costs, encoder

    chosen = f"{arguments.precision}, {arguments.vocabulary} pieces"
    table = Table("", "fp32, all pieces", chosen, "ratio", title="what it costs and saves")
    with CONSOLE.status("exporting fp32 to compare with") as status, tempfile.TemporaryDirectory() as folder:
        encoder.export(arguments.source, Path(folder))
        for cost in costs.compare(Path(folder), arguments.repository, arguments.data, status.update):
            table.add_row(cost.what, cost.before, cost.after, cost.ratio)
    CONSOLE.print(table)


def _publish(arguments: argparse.Namespace) -> int:
    import malgil

    services = catalog.read(arguments.file)
    metadata_file = arguments.repository / "tokenizer" / "1" / "encoder.json"
    if not metadata_file.exists():
        return _fail(f"{metadata_file} is missing: run `python -m export encoder` first")
    metadata = json.loads(metadata_file.read_text(encoding="utf-8"))
    columns = (TextColumn("embedding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=CONSOLE, transient=True) as bar:
        task = bar.add_task("", total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        if arguments.offline:
            embed = embedding.offline(arguments.repository, advance)
        else:
            embed = embedding.online(arguments.url, arguments.repository, advance)
        try:
            number = generations.publish(services, arguments.index, metadata, embed, arguments.default_threshold)
        except malgil.MalgilError as error:
            return _fail(f"{arguments.url}: {error}. Start `python -m server`, or publish with --offline")
    phrases = sum(len(service.texts) for service in services)
    opened = sum(service.open for service in services)
    CONSOLE.print(f"generation {number} serves: {opened} open of {len(services)} services, {phrases} phrases")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    services = catalog.read(arguments.file)
    CONSOLE.print(f"{arguments.file}: {len(services)} services, {sum(s.open for s in services)} open")
    return 0


def _fail(text: str) -> int:
    Console(stderr=True, highlight=False, soft_wrap=True).print(escape(text))
    return 1


if __name__ == "__main__":
    sys.exit(main())
