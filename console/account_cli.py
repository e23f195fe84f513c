"""The commands `python -m console account …`: who may use the console."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from console.cli import database_option, opened
from console.security import accounts
from console.security.identity import local_name
from store.errors import StoreError
from store.types import ROLES, Role

_ROLE = click.Choice(ROLES)
_PASSWORD_FILE = click.option(
    "--password-file",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="File with the password in its first line; - is standard input.",
)


@click.group()
def account() -> None:
    """Accounts of the console: read (읽기), edit (편집) and publish (게시), each may do what those before it may."""


@account.command()
@click.argument("name")
@click.option("--role", type=_ROLE, default="read", show_default=True, help="What the account may do.")
@click.option("--no-password", is_flag=True, help="For users whom a proxy names (--trusted-user-header).")
@click.option("--only-if", type=click.Choice(["none"]), help="none: only where there is no account.  [default: always]")
@_PASSWORD_FILE
@database_option
@click.pass_obj
def add(
    given: dict[str, Any],
    name: str,
    role: Role,
    no_password: bool,
    only_if: str | None,
    password_file: Path | None,
    database: str | None,
) -> None:
    """Add an account; the password is asked for."""
    name = accounts.check_name(name)
    with opened(given, database) as store:
        if only_if == "none" and store.accounts():
            click.echo("there are accounts already")
            return
        if any(known.name == name for known in store.accounts()):
            raise StoreError(f"account {name}: exists already (account role and account password change it)")
        hashed = None if no_password else accounts.hash_password(_password(password_file))
        store.save_account(name, role, hashed, by=local_name())
    click.echo(f"{name}: {role}")


@account.command()
@click.argument("name")
@click.argument("role", type=_ROLE)
@database_option
@click.pass_obj
def role(given: dict[str, Any], name: str, role: Role, database: str | None) -> None:
    """Change what an account may do, at once, in open sessions too."""
    with opened(given, database) as store:
        store.account(name)
        store.save_account(name, role, None, by=local_name())
    click.echo(f"{name}: {role}")


@account.command()
@click.argument("name")
@_PASSWORD_FILE
@database_option
@click.pass_obj
def password(given: dict[str, Any], name: str, password_file: Path | None, database: str | None) -> None:
    """Change a password; it ends the account's sessions."""
    with opened(given, database) as store:
        known = store.account(name)
        hashed = accounts.hash_password(_password(password_file))
        store.save_account(name, known.role, hashed, by=local_name())
    click.echo(f"{name}: password changed, sessions ended")


@account.command()
@click.argument("name")
@database_option
@click.pass_obj
def remove(given: dict[str, Any], name: str, database: str | None) -> None:
    """Remove an account; it ends its sessions."""
    with opened(given, database) as store:
        store.remove_account(name, by=local_name())
        left = len(store.accounts())
    click.echo(f"{name}: removed")
    if not left:
        click.echo("no account is left: on loopback this machine's users may do everything", err=True)


@account.command("list")
@database_option
@click.pass_obj
def list_(given: dict[str, Any], database: str | None) -> None:
    """List the accounts."""
    with opened(given, database) as store:
        known = store.accounts()
    for found in known:
        state = "" if found.active else "  closed"
        click.echo(f"{found.name}  {found.role}  since {found.created_at:%Y-%m-%d}{state}")
    if not known:
        click.echo("no accounts", err=True)


def _password(file: Path | None) -> str:
    if file is None:
        given: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return given
    text = sys.stdin.readline() if str(file) == "-" else file.read_text(encoding="utf-8")
    return text.split("\n")[0].rstrip("\r")
