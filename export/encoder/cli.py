"""The command `python -m export encoder`."""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from export import options
from export.encoder.choice import AUTO
from export.errors import ExportError

if TYPE_CHECKING:
    from malgil_core.encoder import EncoderMetadata

    from export.encoder.export import Exported
    from export.encoder.source import Overrides

EPILOG = """\b
Examples:
  python -m export encoder                                the bundled encoder
  python -m export encoder --precision fp32               with the source's numbers
  python -m export encoder jhgan/ko-sroberta-multitask    from the hub
  python -m export encoder ./my-model                     from a directory

docs/encoders.md says what each precision and vocabulary costs.
"""


@click.command(epilog=EPILOG)
@click.argument("source", default="bundled")
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "fp16", "int8"]),
    default="auto",
    show_default=True,
    help="int8: for CPUs, a quarter of the size and twice as fast; fp16: for GPUs; auto: int8 without an NVIDIA GPU, "
    "else fp32.",
)
@click.option(
    "--vocabulary",
    type=click.Choice(["auto", "all", "ko"]),
    default="auto",
    show_default=True,
    help="ko: only the word pieces of Korean and Latin text, other scripts become unknown; auto: ko for `bundled`, "
    "else all.",
)
@click.option(
    "--compare/--no-compare",
    default=None,
    help="Measure size, memory and speed against fp32 with all word pieces, which takes a second export.  "
    "[default: for a precision or vocabulary that is named]",
)
@click.option(
    "--pooling",
    type=click.Choice(["mean", "cls", "max"]),
    help="How token vectors become one. [default: as the encoder was saved; mean for a plain directory]",
)
@click.option(
    "--query-prompt",
    metavar="TEXT",
    help='Text in front of each query, e.g. "query: ". [default: as the encoder was saved, or none]',
)
@click.option(
    "--passage-prompt",
    metavar="TEXT",
    help='Text in front of each phrase, e.g. "passage: ". [default: as the encoder was saved, or none]',
)
@click.option(
    "--adapter",
    type=options.PATH,
    metavar="FOLDER",
    help="LoRA adapter that is merged into the weights: adapter_config.json and adapter_model.safetensors.",
)
@click.option(
    "--data",
    type=options.PATH,
    metavar="FOLDER",
    help="Folder with korsts/sts-test.tsv: measure the rank correlation on it, too.",
)
@click.option(
    "--only-if",
    type=click.Choice(["missing", "changed"]),
    help="missing: export only where the repository has no whole encoder that this version can serve; changed: there, "
    "or where it was made of another SOURCE or with other options.  [default: always]",
)
@options.repository
def encoder(
    source: str,
    precision: str,
    vocabulary: str,
    compare: bool | None,
    pooling: str | None,
    query_prompt: str | None,
    passage_prompt: str | None,
    adapter: Path | None,
    data: Path | None,
    only_if: str | None,
    repository: Path,
) -> None:
    """Export an encoder into the model repository.

    SOURCE is a sentence-transformers or Hugging Face encoder: a directory, a hub id, or `bundled` (the default), which
    is multilingual-e5-small dequantised from 4 bits. The old files stay until the new ones have been compared with
    PyTorch, text by text.
    """
    from export.encoder import adapter as adapters
    from export.encoder import existing, korsts
    from export.encoder.graph import model_bytes
    from export.encoder.source import Overrides

    overrides = Overrides(pooling, query_prompt, passage_prompt)
    if adapter is not None and not (adapter / adapters.WEIGHTS).is_file():
        raise ExportError(f"adapter {adapter}: it has no {adapters.WEIGHTS}")
    if only_if is not None:
        if only_if == "missing":
            reason = existing.why_missing(repository)
        else:
            reason = existing.why_changed(repository, source, precision, vocabulary, overrides, adapter)
        if reason is None:
            click.echo(f"{repository} holds the encoder already")
            return
        click.echo(f"exporting, because {reason}")
    if data is not None and not (data / korsts.FILE).exists():
        raise ExportError(f"{data / korsts.FILE} is missing: --data names the folder that korsts/ is in")
    started = time.monotonic()
    exported = _export(source, repository, precision, vocabulary, overrides, adapter)
    metadata = exported.metadata
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    size = model_bytes(repository / "encoder" / "1" / "model.onnx") / 2**20
    for choice in exported.choices:
        click.echo(f"chosen: {choice.name}, because {choice.reason}")
    if exported.assumed:
        click.echo(f"assumed, since a plain encoder does not say: {', '.join(exported.assumed)}")
    click.echo(
        f"{metadata.name}: {metadata.graph} graph in {metadata.precision} with {metadata.vocabulary} word pieces, "
        f"{metadata.dimension} dimensions, {metadata.pooling} pooling, window {metadata.max_length}, "
        f"{size:.0f} MiB\n"
        f"exported in {time.monotonic() - started:.0f} s, peak memory {peak:.1f} GiB"
    )
    lossless = (metadata.precision, metadata.vocabulary) == ("fp32", "all")
    named = precision != AUTO or vocabulary != AUTO
    if not lossless and (named if compare is None else compare):
        _print_costs(source, repository, metadata, data, overrides, adapter)
    elif data is not None:
        from export.encoder import costs

        click.echo(f"KorSTS test, 100 × Spearman: {costs.korsts_score(repository, data / korsts.FILE):.2f}")


def _export(
    source: str, repository: Path, precision: str, vocabulary: str, overrides: Overrides, adapter: Path | None
) -> Exported:
    """Export, and print how far the graph is from PyTorch.

    Raises:
        ExportError: the source cannot be exported, or its graph is too far from PyTorch; nothing was replaced.
    """
    from rich.table import Table

    from export.console import CONSOLE
    from export.encoder.bundled import BundledError
    from export.encoder.export import ParityError, export
    from export.encoder.parity import Row
    from export.encoder.source import UnsupportedEncoderError

    table = Table("batching", "largest difference", "lowest cosine", "", title="parity: onnxruntime against PyTorch")
    with CONSOLE.status("") as status:

        def report(row: Row) -> None:
            verdict = "ok" if row.passed else "[red]differs"
            table.add_row(row.batching, f"{row.max_difference:.1e}", f"{row.min_cosine:.7f}", verdict)

        def progress(text: str) -> None:
            status.update(text)
            if not CONSOLE.is_terminal:
                CONSOLE.print(f"  {text}")

        try:
            exported = export(source, repository, progress, report, precision, vocabulary, overrides, adapter)
        except (UnsupportedEncoderError, ParityError, BundledError, OSError, ValueError) as error:
            if table.row_count:
                CONSOLE.print(table)
            raise ExportError(f"{source} was not exported: {error}") from error
    CONSOLE.print(table)
    return exported


def _print_costs(
    source: str,
    repository: Path,
    metadata: EncoderMetadata,
    data: Path | None,
    overrides: Overrides,
    adapter: Path | None,
) -> None:
    """Export the source once more, in fp32 with all word pieces, into a temporary folder, and compare.

    What was exported is whole and stays: where fp32 cannot be had, a sentence says so.
    """
    from rich.table import Table

    from export.console import CONSOLE
    from export.encoder import costs
    from export.encoder.export import ParityError, export
    from export.encoder.source import UnsupportedEncoderError

    chosen = f"{metadata.precision}, {metadata.vocabulary} pieces"
    table = Table("", "fp32, all pieces", chosen, "ratio", title="what it costs and saves")
    with CONSOLE.status("exporting fp32 to compare with") as status, tempfile.TemporaryDirectory() as folder:
        try:
            export(source, Path(folder), overrides=overrides, adapter=adapter)
        except (UnsupportedEncoderError, ParityError, OSError, ValueError, MemoryError) as error:
            click.echo(f"not compared with fp32, which was not exported: {error}")
            return
        for cost in costs.compare(Path(folder), repository, data, status.update):
            table.add_row(cost.what, cost.before, cost.after, cost.ratio)
    CONSOLE.print(table)
