"""The commands `python -m export suggest …`: ask a language model for phrases, and add those that a person kept."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from export import options
from export.catalog import access
from export.errors import ExportError

SECONDS = options.Between(1, 3600)


class _Group(click.Group):
    """A group whose first command's name can be left out."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["propose", *args]
        return super().parse_args(ctx, args)


class _Fields(click.ParamType[dict[str, Any]]):
    """A JSON object."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """The object of a command line's word."""
        try:
            fields = json.loads(value)
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict):
            self.fail(f'{value} is no JSON object, such as {{"temperature": 0.7}}', param, ctx)
        return fields


@click.group(
    cls=_Group,
    epilog="""\b
Examples:
  python -m export suggest catalogs/finance.jsonl --service transfer      `propose` can be left out
  python -m export suggest propose --help
  python -m export suggest accept catalogs/finance.jsonl proposals.jsonl

docs/suggestions.md describes both.""",
)
def suggest() -> None:
    """Phrases for services, proposed by a language model and kept by a person."""


@suggest.command(
    epilog="""\b
Examples:
  export MALGIL_LLM_URL=http://127.0.0.1:8080/v1 MALGIL_LLM_MODEL=my-model
  python -m export suggest catalogs/finance.jsonl --service transfer --null-topics catalogs/null_topics.jsonl
  python -m export suggest catalogs/finance.jsonl --fewer-than 5 --offline --write proposals.jsonl

\b
The key of an endpoint that requires one is in the variable MALGIL_LLM_KEY.
docs/suggestions.md says what is sent, and describes the prompt and the file."""
)
@click.argument("catalog", metavar="CATALOG")
@click.option("--service", "names", metavar="ID", multiple=True, help="Service, by id or service_id. Can be repeated.")
@click.option("--fewer-than", metavar="NUMBER", type=click.IntRange(min=1), help="Open services with fewer phrases.")
@click.option(
    "--count",
    metavar="NUMBER",
    type=click.IntRange(1, 50),
    default=10,
    show_default=True,
    help="Phrases that are asked for, of each service.",
)
@click.option(
    "--write", metavar="FILE", type=options.PATH, help="Write the proposals, for `accept`. It must not exist."
)
@click.option(
    "--prompt", metavar="FILE", type=options.PATH, help="Another prompt.  [default: export/suggest/prompt.md]"
)
@click.option(
    "--llm-url",
    metavar="URL",
    envvar="MALGIL_LLM_URL",
    show_envvar=True,
    help="OpenAI-compatible endpoint, such as http://127.0.0.1:8080/v1.",
)
@click.option(
    "--llm-model",
    metavar="NAME",
    envvar="MALGIL_LLM_MODEL",
    show_envvar=True,
    help="Name of the model at the endpoint.",
)
@click.option(
    "--llm-timeout", metavar="SECONDS", type=SECONDS, default=120, show_default=True, help="Longest wait for an answer."
)
@click.option(
    "--llm-fields", metavar="JSON", type=_Fields(), help='Fields of the request, such as {"max_tokens": 900}.'
)
@click.option("--offline", is_flag=True, help="Embed in this process, not through the server.")
@access.server
@options.null_topics
@options.repository
@options.index
def propose(
    catalog: str,
    names: tuple[str, ...],
    fewer_than: int | None,
    count: int,
    write: Path | None,
    prompt: Path | None,
    llm_url: str | None,
    llm_model: str | None,
    llm_timeout: float,
    llm_fields: dict[str, Any] | None,
    offline: bool,
    url: str,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_name: str | None,
    key_file: Path | None,
    null_topics: tuple[Path, ...],
    repository: Path,
    index: Path,
) -> int:
    """Ask a language model for phrases of services, and show what speaks against each.

    A phrase is good if it is Korean, short, not in the catalog yet, and nearer to its own service than to any other by
    the encoder. Nothing is changed: a person edits the file of --write, and `accept` adds what was kept. CATALOG is a
    file, or a database: sqlite:///FILE or postgresql://USER@HOST/NAME.
    """
    if not names and fewer_than is None:
        raise click.UsageError("name services by --service or --fewer-than")
    if write and write.exists():
        raise ExportError(f"--write: {write} is there already: accept what was kept in it, and remove it")
    from malgil_core.catalog import reading

    from export.catalog import source
    from export.suggest.choosing import chosen
    from export.suggest.settings import Settings

    settings = Settings.of(url=llm_url, model=llm_model, timeout=llm_timeout, prompt=prompt, extra=llm_fields)
    content = reading.with_null_files(source.of(catalog).read(), null_topics)
    services = chosen(content.services, names, fewer_than)
    server = None
    if not offline:
        key = access.key(key_file, os.environ.get("MALGIL_KEY"))
        server = access.Access(url, tls_ca, tls_cert, tls_key, tls_name, key)
    try:
        from export.suggest.command import Command
    except ModuleNotFoundError as error:  # an image that only exports
        raise ExportError(f"{error}: install it by `.venv/bin/python -m pip install --group suggest`") from None
    return Command(content, settings, count, write).run(services, server, repository, index)


@suggest.command(
    epilog="""\b
Example:
  python -m export suggest accept catalogs/finance.jsonl proposals.jsonl

docs/suggestions.md describes the file."""
)
@click.argument("catalog", metavar="CATALOG")
@click.argument("proposals", type=options.PATH)
@click.option("--by", metavar="NAME", help="Who accepts, in a database's history.  [default: this machine's user]")
def accept(catalog: str, proposals: Path, by: str | None) -> None:
    """Add the phrases that a person kept to a catalog.

    PROPOSALS is the file that `--write` made, where a person set `keep` to true. CATALOG is a file, whose other lines
    stay as they are, or a database (sqlite:///FILE, postgresql://USER@HOST/NAME). Nothing is changed if one proposal
    cannot be added, and nothing is published.
    """
    from export.catalog import source
    from export.suggest import file as proposal_file

    found = source.of(catalog)
    if by is not None and isinstance(found, source.File):
        raise click.UsageError("--by is for a database: a file has no history")
    kept = proposal_file.read(proposals)
    if not kept:
        raise ExportError(f"{proposals}: nothing is kept: set keep to true where a phrase is good")
    if isinstance(found, source.File):
        accepted = proposal_file.accept(found.path, kept, proposals)
    else:
        from export.suggest import database

        accepted = database.accept(catalog, kept, proposals, by or database.user())
    for note in accepted.notes:
        click.echo(note)
    click.echo(f"{found}: {accepted.phrases} phrases added to {accepted.services} services; nothing is published yet")
