"""The command `python -m feedback report`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from feedback import options

if TYPE_CHECKING:
    from feedback.log import Log
    from feedback.report import Report

LISTED = 20
SHARES = ("empty", "refused", "chosen", "chosen_first", "share")
TITLES = {
    "by_time": "over time (UTC)",
    "by_surface": "by surface",
    "by_variant": "by variant",
    "by_generation": "by generation",
    "ranks": "click-through by rank",
    "asked": "queries most asked",
    "empty": "queries with an empty answer",
    "refused": "queries refused as out of scope",
    "unchosen": "queries whose hits nobody chose",
}


@click.command(
    epilog="""\b
Examples:
  python -m feedback report
  python -m feedback report --days 28 --by week --plots plots/ --json report.json"""
)
@options.events
@options.days
@click.option("--by", "step", type=click.Choice(["hour", "day", "week"]), default="day", show_default=True)
@options.people
@click.option("--limit", type=click.IntRange(1, 10_000), default=LISTED, show_default=True, help="Queries of a table.")
@options.written_json
@click.option(
    "--plots", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
    help="Draw time.png and ranks.png.",
)  # fmt: skip
def report(
    events: Path, days: int | None, step: str, people: int, limit: int, json_file: Path | None, plots: Path | None
) -> None:
    """Show what people searched for and what they found.

    A search is all that one search_id counts: its last keystroke decides. Queries are listed where the server keeps
    them (`--log-queries`) and enough people typed them.
    """
    from feedback import log as logs
    from feedback import report as reports

    with logs.opened(events, logs.Window.last(days)) as log:
        made = reports.make(log, step, people, limit)  # type: ignore[arg-type]  # of click's choices
        _print(log, made)
    if json_file:
        json_file.write_text(json.dumps(asdict(made), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if plots:
        from feedback import report_plots

        plots.mkdir(parents=True, exist_ok=True)
        report_plots.over_time(made.by_time, plots / "time.png")
        report_plots.ranks(made.ranks, plots / "ranks.png")


def _print(log: Log, made: Report) -> None:
    click.echo(f"{log.read:,} events, {log.damaged:,} damaged lines, {log.outside:,} of another time")
    total = made.total
    if not total["searches"]:
        click.echo(f"no searches; {made.automatic:,} that no person can have made are left out")
        return
    click.echo(
        f"{total['searches']:,} searches with {total['requests']:,} requests of {total['people']:,} people, "
        f"{_time(total['first_ms'])} to {_time(total['last_ms'])}; {made.automatic:,} automatic ones left out"
    )
    click.echo(
        f"empty {total['empty']:.1%}, refused {total['refused']:.1%}, chosen {total['chosen']:.1%}, "
        f"the first hit {total['chosen_first']:.1%}, MRR {total['mrr']:.3f}"
    )
    for name in ("by_time", "by_surface", "by_variant", "by_generation", "ranks"):
        _table(TITLES[name], getattr(made, name))
    if made.queries is None:
        click.echo("no query was logged: `python -m server --log-queries` keeps their text")
    for kind, rows in (made.queries or {}).items():
        _table(TITLES[kind], rows)


def _table(title: str, rows: Sequence[dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from export.console import CONSOLE

    if not rows:
        return
    drawn = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    for name, value in rows[0].items():
        drawn.add_column(name.replace("at_ms", "from"), justify="left" if isinstance(value, str) else "right")
    for row in rows:
        drawn.add_row(*(Text(_cell(name, value)) for name, value in row.items()))
    CONSOLE.print(drawn)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "at_ms":
        return _time(value)
    if isinstance(value, float):
        return f"{value:.1%}" if name in SHARES else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) and name not in ("generation", "first_id") else str(value)


def _time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, timezone.utc):%Y-%m-%d %H:%M}"
