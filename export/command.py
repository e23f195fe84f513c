"""What groups of commands share: commands imported on demand, and a group run to an exit status."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

Refusals = tuple[type[Exception], ...]


class LazyGroup(click.Group):
    """A group whose commands are imported when they are named, or for the group's help.

    Args:
        lazy: command → module and attribute, "package.module:attribute".
    """

    def __init__(self, *args: Any, lazy: Mapping[str, str], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, or None."""
        if cmd_name not in self._lazy:
            return None
        module, _, attribute = self._lazy[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


def run(
    cli: click.Group, argv: Sequence[str] | None, name: str, interrupted: str, refusals: Callable[[], Refusals]
) -> int:
    """Run one command; its exit status: 0 done, 1 refused with a sentence on stderr, 2 wrong usage.

    Args:
        cli: the group.
        argv: its arguments; None takes the process's own.
        name: how the program is called.
        interrupted: what Ctrl-C left behind, in words.
        refusals: the errors whose text is meant for the user. Called when there is one: a command imports only what
            it uses.
    """
    try:
        status: int | None = cli.main(argv, prog_name=name, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo(f"interrupted; {interrupted}", err=True)
        return 1
    except OSError as error:
        click.echo(f"{error.filename}: {error.strerror}" if error.filename else error, err=True)
        return 1
    except refusals() as error:
        click.echo(error, err=True)
        return 1
    return status or 0
