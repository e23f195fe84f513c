"""Command line of `python -m benchmarks soak`."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from export.progress import bar
from server.launcher import REPOSITORY

NAMES = ("publish", "kills", "heal", "overload", "fuzz")


class SoakError(Exception):
    """A server did not survive as it must; the text says what."""


def add(command: Callable[..., argparse.ArgumentParser], console: Console) -> None:
    """Add the command; `command(name, run, text)` makes one."""
    soak = command(
        "soak",
        lambda arguments: _soak(arguments, console),
        "What a server must survive: publishes under load, killed publishers, killed processes, four times the load "
        "that it can take, and whatever a client may send. Real servers on free ports of this machine's loopback; "
        "about 10 minutes, or 2 with --quick. Ends with 1 if a bound does not hold.",
    )
    soak.add_argument("--quick", action="store_true", help="a few of each, in 2 minutes")
    soak.add_argument("--only", type=_names, default=NAMES, metavar="a,b", help=f"of {', '.join(NAMES)}")
    soak.add_argument("--seed", type=int, default=0, help="of kills and requests (default: %(default)s)")
    soak.add_argument("--json", type=Path, metavar="FILE", help="write {scenario: {figure: value}}")
    soak.add_argument("--repository", type=Path, default=REPOSITORY, help="with its index beside it (default: ours)")


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in NAMES:
            raise argparse.ArgumentTypeError(f"{name!r} is not among {', '.join(NAMES)}")
    return names


def _soak(arguments: argparse.Namespace, console: Console) -> None:
    from benchmarks.soak import run

    size = run.QUICK if arguments.quick else run.Size()
    found: dict[str, dict[str, Any]] = {}
    scratch = Path(tempfile.mkdtemp(prefix="malgil-soak-"))
    try:
        for name in arguments.only:
            folder = scratch / name
            folder.mkdir()
            with bar(name, console) as advance:
                found[name] = run.run(name, arguments.repository, folder, size, arguments.seed, advance)
            console.print(_table(name, found[name], [bound for bound in run.BOUNDS if bound.scenario == name]))
            if arguments.json:
                run.write(found, arguments.json)
    except BaseException:
        console.print(f"the servers' logs are in {scratch}")
        raise
    failed = run.broken(found)
    if failed:
        what = "; ".join(f"{b.scenario}: {b.figure} is {found[b.scenario][b.figure]}, not {b}" for b in failed)
        raise SoakError(f"{what}; the servers' logs are in {scratch}")
    shutil.rmtree(scratch, ignore_errors=True)


def _table(name: str, found: dict[str, Any], bounds: Any) -> Table:
    table = Table("figure", "found", "bound", "", title=name, title_justify="left")
    bound_of = {bound.figure: bound for bound in bounds}
    for figure, value in found.items():
        bound = bound_of.get(figure)
        verdict = "" if bound is None else "ok" if bound.holds(found) else "FAILS"
        table.add_row(figure, _shown(value), "" if bound is None else str(bound), verdict)
    return table


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_shown(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return "\n".join(map(_shown, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
