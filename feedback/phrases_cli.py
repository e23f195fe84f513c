"""The commands `python -m feedback phrases` and `null-topics`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from feedback import options
from feedback.bounds import Bounds

WRITTEN = click.Path(dir_okay=False, path_type=Path)
MOST = 1000  # queries of a file of null topics


@click.command(
    epilog="""\b
Example:
  python -m feedback phrases --out proposals.jsonl --offline
  python -m export suggest accept catalogs/finance.jsonl proposals.jsonl

The console's page 검색 데이터 shows the same, to be taken one by one."""
)
@click.option("--out", type=WRITTEN, required=True, metavar="FILE", help="Where the proposals are written.")
@options.choices
@options.days
@options.events
@options.encoder
def phrases(
    out: Path, people: int, share: float, skips: int, days: int | None, events: Path, index: Path, **given: Any
) -> None:
    """Propose queries as phrases of the service that people choose for them.

    Nothing is changed: a person sets `keep` to true in FILE, and `python -m export suggest accept` adds what was kept.
    """
    from export.catalog.embedding import completed
    from export.console import CONSOLE
    from export.progress import bar
    from feedback import choices, files, propensity
    from feedback import log as logs
    from feedback import phrases as makers
    from feedback.catalog import Serving
    from feedback.errors import FeedbackError

    if out.exists():
        raise FeedbackError(f"--out: {out} is there already: accept what was kept in it, and remove it")
    with logs.opened(events, logs.Window.last(days)) as log:
        logs.need_queries(log, events)
        counted = choices.count(log, propensity.estimate(log), Bounds(people=people, share=share, skips=skips))
    serving = Serving.of(index, given["repository"])
    number = len({one.id for one in counted.found if one.id in serving.services})
    with options.embedding(serving, "phrase", **given) as embed, bar("services", CONSOLE) as advance:
        steps = iter(range(1, number + 1))
        known = completed(serving.known, embed)
        made = makers.lines(counted.found, serving, known, lambda: advance(next(steps), number))
    files.write_lines(out, made)
    good = sum(one["verdict"] == "good" for one in made)
    click.echo(f"{out}: {len(made):,} phrases for {len({one['service_id'] for one in made})} services, {good:,} good")


@click.command(
    "null-topics",
    epilog="""\b
Example:
  python -m feedback null-topics --out null_topics.jsonl --offline
  python -m export catalog publish catalogs/finance.jsonl --null-topics null_topics.jsonl""",
)
@click.option("--out", type=WRITTEN, required=True, metavar="FILE", help="Where the null topics are written.")
@options.people
@options.days
@options.events
@options.encoder
def null_topics(out: Path, people: int, days: int | None, events: Path, index: Path, **given: Any) -> None:
    """Propose queries as null phrases whose hits nobody ever chose.

    Read FILE before it is published: a query may be left alone because its answer was told by the hit itself, or
    because the right service lacks a phrase.
    """
    from feedback import files, report
    from feedback import log as logs
    from feedback import phrases as makers
    from feedback.catalog import Serving

    with logs.opened(events, logs.Window.last(days)) as log:
        logs.need_queries(log, events)
        rows = report.queries(log, "unchosen", people, MOST)
    serving = Serving.of(index, given["repository"])
    with options.embedding(serving, "query", **given) as embed:
        made = makers.null_topics(rows, serving, embed)
    files.write_lines(out, [topic.as_dict() for topic in made])
    click.echo(f"{out}: {len(made):,} null topics, {sum(len(topic.phrases) for topic in made):,} null phrases")
