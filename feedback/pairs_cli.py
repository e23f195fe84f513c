"""The command `python -m feedback pairs`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from export import options as export_options
from feedback import options
from feedback.bounds import Bounds

WRITTEN = click.Path(dir_okay=False, path_type=Path)


@click.command(
    epilog="""\b
Examples:
  python -m feedback pairs --out pairs.jsonl --offline
  python -m feedback pairs --out pairs.jsonl --held-out held_out.jsonl --days 90
  python -m training encoder --out models/own --recipe search --feedback pairs.jsonl

docs/feedback.md says how the bias of positions is accounted for."""
)
@click.option("--out", type=WRITTEN, required=True, metavar="FILE", help="Where the pairs are written.")
@click.option(
    "--held-out", "held_out", type=WRITTEN, metavar="FILE",
    help="Leave a share of the queries out, and write them here, labelled with their service.",
)  # fmt: skip
@click.option(
    "--held-out-share", type=export_options.Between(0, 0.5), default=0.2, show_default=True, metavar="SHARE",
    help="Of the queries, for --held-out.",
)  # fmt: skip
@click.option("--negatives", type=click.IntRange(0, 100), default=4, show_default=True, help="Of a pair at most.")
@options.choices
@options.days
@options.events
@options.encoder
def pairs(
    out: Path, held_out: Path | None, held_out_share: float, negatives: int, people: int, share: float, skips: int,
    days: int | None, events: Path, index: Path, **given: Any,
) -> None:  # fmt: skip
    """Write training pairs: what people typed, the phrase of what they chose, phrases of what they skipped above it.

    The positive is the phrase of the chosen service that is nearest to the query. A query of which no service has most
    of the choices makes no pair; nor does one that too few people typed. The file is what
    `python -m training encoder --feedback` takes.
    """
    from feedback import choices, files, propensity
    from feedback import log as logs
    from feedback import pairs as makers
    from feedback.catalog import Serving

    with logs.opened(events, logs.Window.last(days)) as log:
        logs.need_queries(log, events)
        propensities = propensity.estimate(log)
        counted = choices.count(log, propensities, Bounds(people=people, share=share, skips=skips))
    serving = Serving.of(index, given["repository"])
    with options.embedding(serving, "query", **given) as embed:
        made = makers.make(counted, serving, embed, negatives, held_out_share if held_out else 0.0)
    files.write_lines(out, [one.as_dict() for one in made.pairs])
    if held_out:
        files.write_lines(held_out, made.labelled())
    click.echo(propensities)
    click.echo(
        f"queries left out: {counted.rare:,} that fewer than {people} people chose one service for, "
        f"{counted.ambiguous:,} of which no service has most choices"
    )
    for reason, number in made.left_out.items():
        click.echo(f"choices left out: {number:,} {makers.REASONS[reason]}")
    wrong = sum(len(one.negatives) for one in made.pairs)
    click.echo(f"{out}: {len(made.pairs):,} pairs with {wrong:,} negatives" + (
        f"; {held_out}: {len(made.held_out):,} labelled queries" if held_out else ""
    ))  # fmt: skip
