"""The commands `python -m export catalog …`: check, publish, and the generations of an index."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from export import options
from export.catalog import access

KEEP = 5  # generations that a publish leaves: the one that serves, and some to go back to
FILE = click.argument("file", type=options.PATH)


@click.group()
def catalog() -> None:
    """Check and publish catalogs of services, and go back.

    A publish makes a generation of the index: immutable, checksummed, numbered. A running server takes up the one that
    index/CURRENT names, within two seconds and without a failed request.
    """


@catalog.command(
    epilog="""\b
Example:
  python -m export catalog check catalogs/finance.jsonl

docs/catalog.md describes the file."""
)
@FILE
@options.null_topics
def check(file: Path, null_topics: tuple[Path, ...]) -> None:
    """Validate a catalog, and name each mistake by its line.

    FILE is JSON Lines, one service or null topic a line.
    """
    from malgil_core.catalog import reading

    catalog = reading.read_catalog(file, null_topics)
    for note in catalog.notes:
        click.echo(note)
    services, topics = catalog.services, catalog.null_topics
    click.echo(f"{file}: {len(services)} services, {sum(service.open for service in services)} open")
    if topics:
        click.echo(f"{len(topics)} null topics, {sum(len(topic.phrases) for topic in topics)} null phrases")


@catalog.command(
    epilog="""\b
Examples:
  python -m export catalog publish catalogs/finance.jsonl              through the server on this machine
  python -m export catalog publish catalogs/finance.jsonl --offline    without a server
  python -m export catalog publish catalogs/finance.jsonl --watch      and again whenever the file is saved
  python -m export catalog publish catalogs/finance.jsonl --null-topics catalogs/null_topics.jsonl
  python -m export catalog publish catalogs/finance.jsonl --url grpcs://search.internal:8001 --key-file key

docs/catalog.md describes the file."""
)
@FILE
@click.option("--offline", is_flag=True, help="Embed in this process, not through the server.")
@access.server
@click.option("--watch", is_flag=True, help="Stay, and publish again whenever the file changes.")
@click.option(
    "--default-threshold",
    type=options.Between(-1, 1),
    metavar="SCORE",
    help="Lowest score that is shown of services without a threshold in the catalog, -1 to 1.  [default: none]",
)
@click.option(
    "--only-if",
    type=click.Choice(["missing", "changed"]),
    help="missing: publish only where no generation serves that this version and the exported encoder can use; "
    "changed: there, or where FILE is not what was published last, rollbacks aside.  [default: always]",
)
@options.null_topics
@click.option(
    "--null-loss",
    type=options.Between(0, 1),
    default=0.03,
    show_default=True,
    metavar="SHARE",
    help="Of the services' phrases, each left out of the catalog and searched for, the share that null phrases may "
    "leave without an answer. Margin and floor follow from it.",
)
@click.option(
    "--null-margin",
    type=options.Between(0, 2),
    metavar="SCORE",
    help="How much higher than the best service a null phrase must score.  [default: by --null-loss]",
)
@click.option(
    "--null-floor",
    type=options.Between(-1, 1),
    metavar="SCORE",
    help="Lowest score of the best service that answers; -1 for none.  [default: by --null-loss]",
)
@options.keep(KEEP)
@options.repository
@options.index
def publish(
    file: Path,
    offline: bool,
    url: str,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_name: str | None,
    key_file: Path | None,
    watch: bool,
    default_threshold: float | None,
    only_if: str | None,
    null_topics: tuple[Path, ...],
    null_loss: float,
    null_margin: float | None,
    null_floor: float | None,
    keep: int,
    repository: Path,
    index: Path,
) -> None:
    """Embed a catalog, and make it the one that serves.

    FILE is JSON Lines, one service or null topic a line. Only new phrases are embedded. The key of a server that
    requires one is in the file of --key-file, or in the environment variable MALGIL_KEY.
    """
    if watch and only_if:
        raise click.UsageError("--watch publishes whenever FILE changes: --only-if does not go with it")
    from malgil_core.ranking.margin import NullSettings

    from export.catalog.publish import Publisher

    server = None
    if not offline:
        key = access.key(key_file, os.environ.get("MALGIL_KEY"))
        server = access.Access(url, tls_ca, tls_cert, tls_key, tls_name, key)
    null = NullSettings(null_loss, null_margin, null_floor)
    publisher = Publisher(file, repository, index, server, default_threshold, keep, null_topics, null)
    if watch:
        publisher.watch()
    if only_if is not None:
        reason = publisher.why_missing() if only_if == "missing" else publisher.why_changed()
        if reason is None:
            click.echo(f"{index} serves what was published already")
            return
        click.echo(f"publishing, because {reason}")
    publisher.publish()


@catalog.command("list")
@options.index
def list_generations(index: Path) -> None:
    """List the generations."""
    from malgil_core.index import history
    from rich import box
    from rich.markup import escape
    from rich.table import Column, Table

    from export.console import CONSOLE

    created = Column("created, UTC", no_wrap=True)
    columns = ("number", "", created, "open", "phrases", "null", "encoder", "threshold")
    table = Table(*columns, box=box.SIMPLE, padding=(0, 1, 0, 0))
    encoders: dict[str, str] = {}
    for entry in history.entries(index):
        mark = "serves" if entry.serves else ""
        if entry.manifest is None:
            table.add_row(str(entry.number), mark, f"[red]{escape(str(entry.problem))}", *[""] * 5)
            continue
        manifest = entry.manifest
        again = f" (again {manifest['rolled_back_to']})" if "rolled_back_to" in manifest else ""
        default = "" if manifest["default_threshold"] is None else f"{manifest['default_threshold']:g}"
        encoder = manifest["encoder"]["fingerprint"][:8]
        encoders[encoder] = manifest["encoder"]["name"]
        table.add_row(
            f"{entry.number}{again}",
            mark,
            manifest["created"][:16].replace("T", " "),
            f"{manifest['open_services']}/{manifest['services']}",
            str(manifest["phrases"]),
            str(manifest["null"]["phrases"]) if "null" in manifest else "",
            encoder,
            default,
        )
    CONSOLE.print(table)
    for encoder, name in encoders.items():  # once: names are long, and rows narrow
        click.echo(f"{encoder}: {name}")


@catalog.command(
    epilog="""\b
Example:
  python -m export catalog show 41 > catalog.jsonl"""
)
@click.argument("number", type=int, required=False)
@options.index
def show(number: int | None, index: Path) -> None:
    """Print a generation's catalog, ready to be published.

    NUMBER is the generation's; without it, the one that serves.
    """
    from malgil_core.index import history

    for line in history.catalog(index, history.resolve(index, number)):
        click.echo(json.dumps(line, ensure_ascii=False))


@catalog.command(
    epilog="""\b
Examples:
  python -m export catalog diff 41 42
  python -m export catalog diff 41       against the one that serves"""
)
@click.argument("before", type=int)
@click.argument("after", type=int, required=False)
@options.index
def diff(before: int, after: int | None, index: Path) -> None:
    """Print what changed between two generations.

    BEFORE is the number of the older one, AFTER of the newer; without it, the one that serves.
    """
    from malgil_core.index import history

    numbers = [history.resolve(index, number) for number in (before, after)]
    changes = history.diff(*(history.catalog(index, number) for number in numbers))
    for change in changes:
        click.echo(f"{change.what} {change.line.get('id', 'null topic')} {change.line['name']}")
        for name, (old, new) in change.fields.items():
            click.echo(f"  {name}: {json.dumps(old, ensure_ascii=False)} → {json.dumps(new, ensure_ascii=False)}")
    topics = sum("null" in change.line for change in changes)
    what = f"{len(changes) - topics} services" + (f" and {topics} null topics" if topics else "")
    click.echo(f"{what} differ between generations {numbers[0]} and {numbers[1]}")


@catalog.command(
    epilog="Twice without a number is there and back: to go further back, give a number that `list` shows."
)
@click.argument("number", type=int, required=False)
@options.keep(KEEP)
@options.repository
@options.index
def rollback(number: int | None, keep: int, repository: Path, index: Path) -> None:
    """Publish an older generation once more, under a new number.

    NUMBER is the older one's; without it, the last sound one before the one that serves.
    """
    from malgil_core.encoder import EncoderMetadata
    from malgil_core.index import history

    from export.catalog.publish import remove_old

    back, new = history.rollback(index, number, EncoderMetadata.of(repository).fingerprint)
    click.echo(f"generation {new} serves: {back} again")
    remove_old(index, keep)


@catalog.command()
@options.index
@click.pass_context
def verify(context: click.Context, index: Path) -> None:
    """Load every generation as a scorer would. Exit status 1 if one is bad."""
    from malgil_core.index import history, reader

    found = history.entries(index, thorough=True)
    for entry in found:
        mark = " (serves)" if entry.serves else ""
        click.echo(f"{entry.number}{mark}: {entry.problem or 'sound'}")
    current = reader.current(index)
    missing = current is not None and current not in [entry.number for entry in found]
    if missing:
        click.echo(f"CURRENT names {current}, which is not there")
    context.exit(int(missing or any(entry.problem for entry in found)))
