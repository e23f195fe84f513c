"""`python -m benchmarks console`: the time of the console's pages, of search as one types, and of a draft's rebuild."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from benchmarks import machine, pages
from benchmarks.options import CONSOLE, FILE, Numbers
from benchmarks.serving import serving


@click.command(short_help="The console: pages, search as one types, warnings, the draft's rebuild.")
@click.option("--services", type=Numbers(1), default="150,5000", show_default=True, help="Sizes of the catalog.")
@click.option("--keystrokes", type=click.IntRange(10), default=300, show_default=True, help="Searches as one types.")
@click.option("--url", help="gRPC HOST:PORT of a running server. Default: start one.")
@click.option("--note", default="", help="Shown on the page, such as what else ran meanwhile.")
@click.option("--json", "file", type=FILE, help="Write the figures there, and a page beside it.")
def console(services: tuple[int, ...], keystrokes: int, url: str | None, note: str, file: Path | None) -> None:
    """Measure a console, with a store in SQLite and a server on the same machine.

    Each keystroke asks the draft and the live server. Goals: a page under 200 ms, 95 of 100 keystrokes under 100 ms.
    """
    from benchmarks.console.measure import measure

    with serving(url) as found:
        figures = [measure(found, size, keystrokes, CONSOLE.print).to_json() for size in services]
    result = {"machine": machine.machine(), "code": machine.code(), "note": note, "sizes": figures}
    for one in figures:
        table = Table("request", "p50, ms", "p95, ms", "longest, ms", title=_title(one))
        for times in one["times"]:
            table.add_row(times["name"], *(f"{times[name]:.1f}" for name in ("p50", "p95", "longest")))
        CONSOLE.print(table)
    pages.write(file, result, page)


def page(result: Mapping[str, Any]) -> str:
    """The page, in Markdown."""
    parts = [
        "# Console",
        pages.made_by(
            "console", result, "; console, store (SQLite), server and the browser's part on the same machine"
        ),
        *([result["note"]] if result["note"] else []),
        "Times are from a request to the end of its answer, over HTTP on loopback. Search as one types asks the draft "
        "and the live server for each letter of labelled queries; warnings check a service of seven lines while the "
        "last is typed. A rebuild is from a save of one new phrase until the draft has it, while searches go on.",
    ]
    for one in result["sizes"]:
        rows = [f"| {t['name']} | {t['p50']:.1f} | {t['p95']:.1f} | {t['longest']:.1f} |" for t in one["times"]]
        parts += [
            f"## {_title(one)}",
            "\n".join(["| request | p50, ms | p95, ms | longest, ms |", "| --- | ---: | ---: | ---: |", *rows]),
        ]
    return "\n\n".join(parts) + "\n"


def _title(one: Mapping[str, Any]) -> str:
    return (
        f"{one['services']:,} services, {one['texts']:,} texts: first draft {one['first_s']:.1f} s, "
        f"rebuild {one['rebuild_s']:.1f} s"
    )
