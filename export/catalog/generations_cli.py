"""The commands `python -m export catalog …` for the generations of an index: list, show, diff, rollback, verify."""

from __future__ import annotations

import json
from pathlib import Path

import click

from export import options


@click.command("list")
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
    made_with: dict[str, list[int]] = {}
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
        if source := manifest.get("settings"):
            made_with.setdefault(f"{source['created']} ({source['sha256'][:8]})", []).append(entry.number)
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
    for settings, numbers in made_with.items():
        click.echo(f"generations made with settings of {settings}: {', '.join(map(str, numbers))}")


@click.command(
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


@click.command(
    epilog="""\b
Examples:
  python -m export catalog diff 41 42
  python -m export catalog diff 41       against the one that serves"""
)
@click.argument("before", type=int)
@click.argument("after", type=int, required=False)
@options.index
def diff(before: int, after: int | None, index: Path) -> None:
    """Print what changed between two generations: services, null topics, weights, thresholds and limits.

    BEFORE is the number of the older one, AFTER of the newer; without it, the one that serves.
    """
    from malgil_core.index import history

    numbers = [history.resolve(index, number) for number in (before, after)]
    changes = history.diff(*(history.catalog(index, number) for number in numbers))
    for change in changes:
        click.echo(f"{change.what} {change.line.get('id', 'null topic')} {change.line['name']}")
        for name, (old, new) in change.fields.items():
            click.echo(f"  {name}: {json.dumps(old, ensure_ascii=False)} → {json.dumps(new, ensure_ascii=False)}")
    for name, (old, new) in history.diff_settings(*(history.manifest(index, number) for number in numbers)).items():
        click.echo(f"{name}: {json.dumps(old)} → {json.dumps(new)}")
    topics = sum("null" in change.line for change in changes)
    what = f"{len(changes) - topics} services" + (f" and {topics} null topics" if topics else "")
    click.echo(f"{what} differ between generations {numbers[0]} and {numbers[1]}")


@click.command(epilog="Twice without a number is there and back: to go further back, give a number that `list` shows.")
@click.argument("number", type=int, required=False)
@options.keep
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


@click.command()
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
