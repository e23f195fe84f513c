"""The commands `python -m feedback retain`, `forget` and `seal`: how long events are kept, and whose."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from malgil_core.limits import ABANDONED_SECONDS

from feedback import options

FILE = click.Path(exists=True, dir_okay=False, path_type=Path, allow_dash=True)
ABANDONED_MINUTES = int(ABANDONED_SECONDS // 60)


@click.command(
    epilog="""\b
Example, once a day by cron:
  python -m feedback retain --days 90"""
)
@click.option(
    "--days", type=click.IntRange(1, 36_500), required=True, metavar="NUMBER", help="How long events are kept."
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed.")
@options.events
def retain(days: int, dry_run: bool, events: Path) -> None:
    """Remove the segments that were begun more than so many days ago.

    A segment holds ten minutes at most: of its events some are up to as much younger. Those that a killed server left
    open are sealed first.
    """
    from malgil_core.events import reading

    from feedback import segments

    with segments.locked(events):
        if not dry_run:
            reading.seal(events)
        old, still_open = segments.older(events, days)
        size = sum(path.stat().st_size for path in old)
        if not dry_run:
            for path in old:
                path.unlink()
    left = f"; {still_open} are still written" if still_open else ""
    removed = "would be removed" if dry_run else "removed"
    click.echo(f"{events}: {len(old)} segments with {size / 2**20:.1f} MiB {removed}{left}")


@click.command(
    epilog="""\b
Example:
  echo user-17 | python -m feedback forget - --key-file person.key"""
)
@click.argument("ids", type=FILE)
@click.option(
    "--key-file", type=FILE, required=True, metavar="FILE",
    help="File with the key that apps give as malgil.Feedback(person_key=…), byte for byte.",
)  # fmt: skip
@click.option(
    "--rotation-days", type=click.IntRange(1, 366), default=30, show_default=True, metavar="NUMBER",
    help="malgil.Feedback(rotation_days=…) of the apps.",
)  # fmt: skip
@options.events
@click.pass_context
def forget(context: click.Context, ids: Path, key_file: Path, rotation_days: int, events: Path) -> None:
    """Remove all events of some people, under whatever hash they stand, and all others of the same searches.

    IDS is a file with the ids that apps give as `person`, one a line; - is standard input. Exit status 1 if events are
    left: a server writes them to a segment that is not sealed before ten minutes have passed.
    """
    from malgil_core.events import reading

    from feedback import segments
    from feedback.errors import FeedbackError

    content = sys.stdin.read() if str(ids) == "-" else ids.read_text(encoding="utf-8")
    people = [line.removesuffix("\r") for line in content.split("\n") if line.strip()]
    if not people:
        raise FeedbackError(f"{ids}: no ids: one a line")
    with segments.locked(events):
        reading.seal(events)
        done = segments.forget(events, segments.hashes(key_file.read_bytes(), people, rotation_days))
    click.echo(
        f"{events}: {done.events} events of {len(people)} people removed, {len(done.segments)} segments written anew"
    )
    if done.left:
        click.echo(
            f"{done.left} of their events are left in segments that a server writes: run this again in ten minutes"
        )
    context.exit(int(done.left > 0))


@click.command()
@click.option(
    "--older-than", type=click.IntRange(1), default=ABANDONED_MINUTES, show_default=True, metavar="MINUTES",
    help="Since the last change of a segment, after which its server must be gone.",
)  # fmt: skip
@options.events
def seal(older_than: int, events: Path) -> None:
    """Seal the segments that a killed server left open. Reports read them as they are."""
    from malgil_core.events import reading

    from feedback import segments

    with segments.locked(events):
        sealed = reading.seal(events, older_than * 60)
    for path in sealed:
        click.echo(path.name)
    click.echo(f"{events}: {len(sealed)} segments sealed")
