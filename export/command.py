"""What the commands of export, training and documents share: a click group run to an exit status."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

Refusals = tuple[type[Exception], ...]


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
