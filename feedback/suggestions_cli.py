"""The command `python -m feedback suggestions`."""

from __future__ import annotations

from pathlib import Path

import click
from malgil_core.suggest.chosen import MIN_DAYS, MIN_PERSONS

from feedback import options


@click.command(
    epilog="""\b
Example:
  python -m feedback suggestions --out suggestions.jsonl
  python -m export catalog publish catalogs/finance.jsonl --suggestions suggestions.jsonl"""
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="FILE",
    help="Where the suggestions are written.",
)  # fmt: skip
@click.option(
    "--persons", type=click.IntRange(min=MIN_PERSONS), default=MIN_PERSONS, show_default=True, metavar="NUMBER",
    help="Distinct people who must have made a choice. It cannot be lower.",
)  # fmt: skip
@click.option(
    "--on-days", type=click.IntRange(min=MIN_DAYS), default=MIN_DAYS, show_default=True, metavar="NUMBER",
    help="Distinct days on which they must have made it. It cannot be lower.",
)  # fmt: skip
@click.option(
    "--rotation-days", type=click.IntRange(1, 366), default=30, show_default=True, metavar="NUMBER",
    help="malgil.Feedback(rotation_days=…) of the apps: people are counted within one such period.",
)  # fmt: skip
@options.days
@options.events
def suggestions(out: Path, persons: int, on_days: int, rotation_days: int, days: int | None, events: Path) -> None:
    """Count what people typed and then chose, for suggestions to others.

    Nothing rare enough to point to a person is written: a text and its service must have been chosen by so many people,
    on so many days, within one period of their hashes.
    """
    from feedback import files
    from feedback import log as logs
    from feedback import suggestions as counting

    bounds = counting.Bounds(persons, on_days, rotation_days)
    with logs.opened(events, logs.Window.last(days)) as log:
        logs.need_queries(log, events)
        counted = counting.count(log, bounds)
    files.write_lines(out, [one.as_dict() for one in counted.found])
    click.echo(f"{out}: {len(counted.found):,} suggestions, each of at least {persons} people on {on_days} days")
    click.echo(f"{counted.rare:,} choices of fewer people or days are left out")
    if counted.unfit:
        click.echo(f"{counted.unfit:,} are left out because their text may hold someone's number or address")
    if counted.beyond:
        click.echo(f"{counted.beyond:,} are left out as the least chosen")
