"""The commands `python -m documents ingest`, `rebuild`, `delete`, `list` and `verify`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from documents import options

FILES = click.argument("files", nargs=-1, required=True, type=options.PATH)
TOKENS = click.option(
    "--tokens", type=click.IntRange(min=32), metavar="NUMBER",
    help="Tokens of a passage at most, title included.  [default: the encoder's window]",
)  # fmt: skip
GRACE_SECONDS = 3.0  # searchers look at the alias every second


@click.command(
    epilog="""\b
Examples:
  python -m documents ingest articles.jsonl --offline
  python -m documents ingest help-pages/ --engine https://milvus.internal:19530 --token-file token

docs/documents.md describes the files."""
)
@FILES
@TOKENS
@options.engine
@options.encoder
def ingest(
    files: Sequence[Path], tokens: int | None, uri: str, token_file: Path | None, engine_ca: Path | None, **given: Any
) -> None:
    """Write documents that are new or have changed.

    FILES are JSON Lines, Markdown and HTML files, and folders of them. A document that cannot be read is named, and the
    rest goes on; the exit status is 1 then. What was broken off is continued by the same command.
    """
    from documents import lease, run

    engine = options.connected(uri, token_file, engine_ca)
    with lease.held(engine, lease.described("ingest")):
        name, state = run.opened(engine, given["repository"], tokens)
        report = run.ingest(engine, name, state, files, given)
    click.echo(f"{name}: {report}")
    click.get_current_context().exit(int(report.refused > 0))


@click.command()
@FILES
@TOKENS
@options.engine
@options.encoder
def rebuild(
    files: Sequence[Path], tokens: int | None, uri: str, token_file: Path | None, engine_ca: Path | None, **given: Any
) -> None:
    """Ingest into a new collection, and move the alias to it: after a change of the encoder, or of --tokens.

    Searches go on all the time, from the old collection until the new one is whole; the old one is dropped. Documents
    that are not in FILES are gone afterwards. If one cannot be read, nothing is moved.
    """
    from documents import collection, lease, run
    from documents.errors import DocumentsError

    engine = options.connected(uri, token_file, engine_ca)
    with lease.held(engine, lease.described("rebuild")):
        name, state = run.created(engine, given["repository"], tokens)
        try:
            report = run.ingest(engine, name, state, files, given)
            if report.refused:
                raise DocumentsError(f"{report.refused} documents cannot be read: nothing was moved")
        except BaseException:
            collection.drop(engine, name)
            raise
        before = collection.point(engine, collection.ALIAS, name)
        click.echo(f"{name}: {report}")
        if before is not None:
            time.sleep(GRACE_SECONDS)
            collection.drop(engine, before)


@click.command()
@click.argument("ids", nargs=-1, required=True)
@options.engine
def delete(ids: Sequence[str], uri: str, token_file: Path | None, engine_ca: Path | None) -> None:
    """Delete documents by their ids."""
    from documents import collection, lease, run, schema
    from documents.ingest import remove

    engine = options.connected(uri, token_file, engine_ca)
    with lease.held(engine, lease.described("delete")):
        name = run.existing(engine)
        state = collection.read_state(engine, name)
        removed = remove(engine, name, state, [schema.key(id) for id in ids])
        collection.write_state(engine, name, state)
    click.echo(f"{removed} of {len(ids)} documents deleted")


@click.command("list")
@options.engine
def list_documents(uri: str, token_file: Path | None, engine_ca: Path | None) -> None:
    """List the documents: id, title, category, date, passages; tab-separated."""
    from documents import run
    from documents.schema import Stored

    engine = options.connected(uri, token_file, engine_ca)
    rows = engine.rows(run.existing(engine), ["passages", "stored"], "number == 0")
    found = sorted(((Stored.parse(row["stored"]), int(row["passages"])) for row in rows), key=lambda one: one[0].id)
    for one, passages in found:
        closed = "" if one.open else "closed"
        click.echo("\t".join([one.id, one.title, one.category, one.updated_at or "", str(passages), closed]).rstrip())


@click.command()
@options.engine
@click.pass_context
def verify(context: click.Context, uri: str, token_file: Path | None, engine_ca: Path | None) -> None:
    """Check that each document is there whole and once, and is counted. Exit status 1 if not."""
    from documents import run

    engine = options.connected(uri, token_file, engine_ca)
    name = run.existing(engine)
    problems, documents, passages = run.problems(engine, name)
    for problem in problems:
        click.echo(problem)
    click.echo(f"{name}: {documents} documents, {passages} passages, {len(problems)} problems")
    context.exit(int(bool(problems)))
