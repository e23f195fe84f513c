"""The command `python -m export catalog calibrate`."""

from __future__ import annotations

from pathlib import Path

import click

from export import options


@click.command(
    epilog="""\b
Example, and then a publish with what was chosen:
  python -m export catalog calibrate my.jsonl --queries my_queries.jsonl --write settings.json
  python -m export catalog publish my.jsonl --settings settings.json

With null phrases, add --null-topics catalogs/null_topics.jsonl to both."""
)
@click.argument("file", type=options.PATH)
@click.option(
    "--queries", type=options.PATH, multiple=True, required=True, metavar="LABELLED",
    help="Labelled queries. Can be repeated.",
)  # fmt: skip
@click.option(
    "--cost",
    type=options.Between(0, 1),
    default=0.03,
    show_default=True,
    metavar="SHARE",
    help="Recall@5 that the margin may cost, and the threshold on top of it, 0 to 1; and the share of a service's own "
    "queries that its threshold may cost.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    metavar="NUMBER",
    help="Weights of lexical matches that are tried; 0 keeps those in use.",
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="NUMBER", help="Of the weights tried.")
@click.option("--keep-thresholds", is_flag=True, help="Leave services the thresholds that the catalog has.")
@click.option("--write", type=options.PATH, metavar="SETTINGS", help="Write what was chosen, for `publish --settings`.")
@click.option("--plot", type=options.PATH, metavar="FILE", help="Write the curves as a picture, .png or .svg.")
@options.null_topics
@options.repository
def calibrate(
    file: Path,
    queries: tuple[Path, ...],
    cost: float,
    steps: int,
    seed: int,
    keep_thresholds: bool,
    write: Path | None,
    plot: Path | None,
    null_topics: tuple[Path, ...],
    repository: Path,
) -> None:
    """Choose weights, thresholds and limits for the exported encoder, from labelled queries.

    They are chosen on one half of the queries, each on top of those before, and what each changes is shown on the
    other half: weights of lexical matches; thresholds of services that have one in the catalog; the margin of null
    phrases; the default threshold. Do it once for each encoder: scores of two encoders do not compare.

    FILE is JSON Lines, one service or null topic a line. LABELLED is JSON Lines, too, one query a line; the id is null
    for queries that should find nothing:

    \b
    {"query": "이체 예약", "id": 103, "kind": "keyword"}
    """
    from malgil_core.catalog import reading
    from malgil_core.encoder import EncoderMetadata

    from export.catalog import calibrate_plot, calibrate_tables, calibration, embedding, labelled, settings
    from export.console import CONSOLE
    from export.progress import bar

    if plot is not None:
        calibrate_plot.check_picture(plot)
    if write is not None:
        settings.check_folder(write)
    catalog = reading.read_catalog(file, null_topics)
    asked = [query for queries_file in queries for query in labelled.read(queries_file)]
    metadata = EncoderMetadata.of(repository)
    with bar("embedding", CONSOLE) as advance:
        data = calibration.Data.of(
            catalog,
            asked,
            metadata,
            embedding.offline(repository, advance),
            lambda latin_words: embedding.offline(repository, advance, "query", latin_words),
            seed,
        )
    with bar("weights", CONSOLE) as advance:
        chosen = calibration.choose(data, cost, steps, seed, keep_thresholds, advance)
    calibrate_tables.show(chosen)
    if plot is not None:
        calibrate_plot.plot(chosen.points, chosen.point, plot, chosen.margins, chosen.margin)
        click.echo(plot)
    if write is not None:
        settings.write(write, calibration.as_settings(chosen, metadata))
        click.echo(write)
