"""The commands `python -m export catalog …`: check and publish; calibrate_cli and generations_cli have the others."""

from __future__ import annotations

import os
from pathlib import Path

import click

from export import options
from export.catalog import access
from export.catalog.calibrate_cli import calibrate
from export.catalog.generations_cli import diff, list_generations, rollback, show, verify

FILE = click.argument("file", type=str)


@click.group()
def catalog() -> None:
    """Check, calibrate and publish catalogs of services, and go back.

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
def check(file: str, null_topics: tuple[Path, ...]) -> None:
    """Validate a catalog, and name each mistake by its line.

    FILE is JSON Lines, one service or null topic a line, or the URL of a database.
    """
    from malgil_core.catalog import reading

    from export.catalog import source

    found = source.of(file)
    catalog = reading.with_null_files(found.read(), null_topics)
    for note in catalog.notes:
        click.echo(note)
    services, topics = catalog.services, catalog.null_topics
    click.echo(f"{found}: {len(services)} services, {sum(service.open for service in services)} open")
    if topics:
        click.echo(f"{len(topics)} null topics, {sum(len(topic.phrases) for topic in topics)} null phrases")


for command in (calibrate, list_generations, show, diff, rollback, verify):
    catalog.add_command(command)


@catalog.command(
    epilog="""\b
Examples:
  python -m export catalog publish catalogs/finance.jsonl              through the server on this machine
  python -m export catalog publish catalogs/finance.jsonl --offline    without a server
  python -m export catalog publish catalogs/finance.jsonl --watch      and again whenever the file is saved
  python -m export catalog publish sqlite:///index/console.db          from a database
  python -m export catalog publish catalogs/finance.jsonl --null-topics catalogs/null_topics.jsonl
  python -m export catalog publish catalogs/finance.jsonl --settings settings.json
  python -m export catalog publish catalogs/finance.jsonl --suggestions suggestions.jsonl
  python -m export catalog publish catalogs/finance.jsonl --url grpcs://search.internal:8001 --key-file key

docs/catalog.md describes the file."""
)
@FILE
@click.option("--offline", is_flag=True, help="Embed in this process, not through the server.")
@access.server
@click.option("--watch", is_flag=True, help="Stay, and publish again whenever a file changes.")
@click.option(
    "--settings",
    type=options.PATH,
    metavar="SETTINGS",
    help="Weights, thresholds and limits that `calibrate --write` chose; the options below count instead of them.",
)
@click.option(
    "--default-threshold",
    type=options.Between(-1, 1),
    metavar="SCORE",
    help="Lowest score that is shown of services without a threshold in the catalog, -1 to 1.  "
    "[default: that of SETTINGS, else none]",
)
@click.option(
    "--only-if",
    type=click.Choice(["missing", "changed"]),
    help="missing: publish only where no generation serves that this version and the exported encoder can use; "
    "changed: there, or where FILE or SETTINGS is not what was published last, rollbacks aside.  [default: always]",
)
@options.null_topics
@click.option(
    "--null-loss",
    type=options.Between(0, 1),
    metavar="SHARE",
    help="Of the services' phrases, each left out of the catalog and searched for, the share that null phrases may "
    "leave without an answer. Margin and floor follow from it.  [default: those of SETTINGS, else 0.03]",
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
@click.option(
    "--suggestions",
    type=options.PATH,
    metavar="FILE",
    help="What people chose, of `python -m feedback suggestions`.  [default: that of the generation published last]",
)
@click.option("--no-suggestions", is_flag=True, help="Publish nothing of what people chose.")
@options.keep
@options.repository
@options.index
def publish(
    file: str,
    offline: bool,
    url: str,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_name: str | None,
    key_file: Path | None,
    watch: bool,
    settings: Path | None,
    default_threshold: float | None,
    only_if: str | None,
    null_topics: tuple[Path, ...],
    null_loss: float | None,
    null_margin: float | None,
    null_floor: float | None,
    suggestions: Path | None,
    no_suggestions: bool,
    keep: int,
    repository: Path,
    index: Path,
) -> None:
    """Embed a catalog, and make it the one that serves.

    FILE is JSON Lines, one service or null topic a line, or the URL of a database: sqlite:///FILE or
    postgresql://USER:PASSWORD@HOST:PORT/NAME. Only new phrases are embedded. The key of a server that requires one is
    in the file of --key-file, or in the environment variable MALGIL_KEY.
    """
    if watch and only_if:
        raise click.UsageError("--watch publishes whenever FILE changes: --only-if does not go with it")
    if suggestions and no_suggestions:
        raise click.UsageError("--suggestions and --no-suggestions do not go together")
    from export.catalog import source
    from export.catalog.publish import Publisher

    server = None
    if not offline:
        key = access.key(key_file, os.environ.get("MALGIL_KEY"))
        server = access.Access(url, tls_ca, tls_cert, tls_key, tls_name, key)
    limits = {"loss": null_loss, "margin": null_margin, "floor": null_floor}
    null = {name: value for name, value in limits.items() if value is not None}
    publisher = Publisher(
        source.of(file), repository, index, server, default_threshold, keep, null_topics, null, settings,
        suggestions=suggestions, no_suggestions=no_suggestions,
    )  # fmt: skip
    if watch:
        publisher.watch()
    if only_if is not None:
        reason = publisher.why_missing() if only_if == "missing" else publisher.why_changed()
        if reason is None:
            click.echo(f"{index} serves what was published already")
            return
        click.echo(f"publishing, because {reason}")
    publisher.publish()
