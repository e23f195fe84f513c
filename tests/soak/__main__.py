"""Command line: `python -m tests.soak`."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import malgil
from rich.console import Console
from rich.table import Table

from benchmarks.options import FILE, FOLDER, Names
from export.progress import bar
from server.launcher import REPOSITORY
from server.triton import SetupError
from tests.soak import scenarios
from tests.soak.scenarios import BOUNDS, QUICK, SCENARIOS, Bound, Size

CONSOLE = Console(highlight=False)


class SoakError(Exception):
    """A server did not survive as it must; the text says what."""


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nScenarios:\n"
    "  publish   catalogs are published while clients search without pause\n"
    "  kills     publishers are killed at every instant\n"
    "  heal      tritonserver and each model's process are killed\n"
    "  overload  twice the load that the server can take\n"
    "  fuzz      random requests, good and bad, over gRPC and HTTP\n"
    "  burst     thousands of clients at once, then calm, again and again",
)
@click.option("--quick", is_flag=True, help="A few of each, in about 3 minutes.")
@click.option("--only", type=Names(SCENARIOS), metavar="a,b", help="These scenarios alone. Default: all.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of kills and requests.")
@click.option("--json", "file", type=FILE, help="Write {scenario: {figure: value}}.")
@click.option("--repository", type=FOLDER, default=REPOSITORY, help="With its index beside it. Default: the project's.")
@click.option(
    "--bursts", type=click.IntRange(1), help=f"How many bursts. Default: {Size.bursts}, quick: {QUICK.bursts}."
)
@click.option(
    "--calm", type=click.FloatRange(0), help=f"Seconds after each. Default: {Size.calm_s:g}, quick: {QUICK.calm_s:g}."
)
def cli(
    quick: bool, only: tuple[str, ...] | None, seed: int, file: Path | None, repository: Path, bursts: int | None,
    calm: float | None,
) -> None:  # fmt: skip
    """Hold real servers, on free ports of loopback, to what they must survive, in about half an hour.

    Each figure is shown beside its bound; ends with 1 if a bound does not hold.
    """
    size = scenarios.sized(quick, bursts=bursts, calm_s=calm)
    found: dict[str, dict[str, Any]] = {}
    seconds: dict[str, float] = {}
    scratch = Path(tempfile.mkdtemp(prefix="malgil-soak-"))
    try:
        for name in only or SCENARIOS:
            folder = scratch / name
            folder.mkdir()
            began = time.monotonic()
            with bar(name, CONSOLE) as advance:
                found[name] = scenarios.run(name, repository, folder, size, seed, advance)
            seconds[name] = time.monotonic() - began
            CONSOLE.print(_figures(name, found[name]))
            if file:
                scenarios.write(found, file)
    except BaseException:
        CONSOLE.print(f"the servers' logs are in {scratch}")
        raise
    failed = scenarios.broken(found)
    CONSOLE.print(_verdicts(found, seconds, failed))
    if failed:
        what = "; ".join(f"{b.scenario}: {b.figure} is {found[b.scenario][b.figure]}, not {b}" for b in failed)
        raise SoakError(f"{what}; the servers' logs are in {scratch}")
    shutil.rmtree(scratch, ignore_errors=True)


def main(argv: list[str] | None = None) -> int:
    """Run the soak; its exit status."""
    try:
        cli(argv, prog_name="python -m tests.soak", standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"Error: {error.format_message()}", err=True)
        return error.exit_code
    except click.Abort:
        return 130
    except (SetupError, SoakError, malgil.MalgilError, FileNotFoundError) as error:
        click.echo(error, err=True)
        return 1
    return 0


def _figures(name: str, found: dict[str, Any]) -> Table:
    """Each figure of a scenario beside its bound."""
    table = Table("figure", "found", "bound", "", title=name, title_justify="left")
    bound_of = {bound.figure: bound for bound in BOUNDS if bound.scenario == name}
    for figure, value in found.items():
        bound = bound_of.get(figure)
        verdict = "" if bound is None else "ok" if bound.holds(found) else "FAILS"
        table.add_row(figure, _shown(value), "" if bound is None else str(bound), verdict)
    return table


def _verdicts(found: dict[str, Any], seconds: dict[str, float], failed: list[Bound]) -> Table:
    """One row a scenario: how long it took, and which bounds do not hold."""
    table = Table("scenario", "seconds", "bounds", title="soak", title_justify="left")
    for name in found:
        broken = ", ".join(bound.figure for bound in failed if bound.scenario == name)
        table.add_row(name, f"{seconds[name]:.0f}", f"FAILS: {broken}" if broken else "all hold")
    return table


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_shown(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return "\n".join(map(_shown, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


if __name__ == "__main__":
    sys.exit(main())
