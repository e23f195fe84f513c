"""The commands `python -m console …`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from console.security.identity import local_name
from export import ROOT, options
from export.catalog import access
from export.command import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.store import Store

F = TypeVar("F", bound=Callable[..., Any])
DATABASE = f"sqlite:///{ROOT / 'index' / 'console.db'}"
EPILOG = """\b
A first time:
  python -m console import catalogs/finance.jsonl
  python -m console                                        on this machine, http://127.0.0.1:8010

\b
For others, behind a proxy that terminates TLS:
  python -m console account add minji --role publish
  python -m console --listen 0.0.0.0 --name console.example.com --trusted-proxy 10.0.0.5

\b
Where a proxy checks who the user is (oauth2-proxy, an identity-aware proxy):
  python -m console --listen 0.0.0.0 --name console.example.com \\
    --trusted-user-header X-Forwarded-User --trusted-proxy 10.0.0.5

docs/console.md has the rest.
"""


def database_option(command: F) -> F:
    """Add the option --database to a subcommand; without it the group's counts."""
    return click.option("--database", metavar="URL", help="As above: the store.")(command)


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EPILOG,
)
@click.option(
    "--database",
    metavar="URL",
    default=DATABASE,
    envvar="MALGIL_CONSOLE_DATABASE",
    show_envvar=True,
    help="The store: sqlite:///FILE or postgresql://USER@HOST/NAME. A password is better kept in the variable: "
    "command lines can be listed by other users.  [default: index/console.db]",
)
@options.index
@options.repository
@click.option(
    "--null-topics",
    type=options.PATH,
    multiple=True,
    metavar="FILE",
    envvar="MALGIL_NULL_TOPICS",
    show_envvar=True,
    help="Null topics that a publish adds to the store's, such as catalogs/null_topics.jsonl. Can be repeated.",
)
@click.option(
    "--settings",
    type=options.PATH,
    metavar="SETTINGS",
    help="Weights, thresholds and limits of a publish, as of `export catalog publish --settings`.",
)
@click.option(
    "--events",
    type=options.PATH,
    metavar="FOLDER",
    default=ROOT / "events",
    envvar="MALGIL_EVENTS",
    show_envvar=True,
    help="Log of the searches, which a server writes with --events.  [default: events]",
)
@access.server
@click.option("--server", "servers", multiple=True, metavar="URL", help="A further server whose generation is shown.")
@click.option("--listen", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8010, show_default=True, metavar="PORT", help="0: any free."
)
@click.option("--name", "names", multiple=True, metavar="NAME", help="Host name under which users reach the console.")
@click.option(
    "--trusted-user-header",
    "user_header",
    metavar="HEADER",
    help="Header in which a proxy says who the user is. Nobody logs in here then; users without an account may read.",
)
@click.option(
    "--trusted-proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="Address or network of the proxy, whose headers count: X-Forwarded-For, X-Forwarded-Proto, the one above.  "
    "[default: loopback, for --trusted-user-header alone]",
)
@click.option(
    "--secret-file",
    type=options.PATH,
    metavar="FILE",
    help="The secret that signs sessions, made where it is missing.  [default: console.secret beside the database]",
)
@click.pass_context
def cli(context: click.Context, /, **given: Any) -> None:
    """Serve the search console: services, search test, history, publish.

    It listens on this machine's loopback, where without accounts its user may do everything. Other machines reach it
    only once there is an account, or a proxy that says who the user is.
    """
    context.obj = given
    if context.invoked_subcommand is None:
        from console.serving import serve

        serve(given)


@cli.command("import")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--only-if",
    type=click.Choice(["empty"]),
    help="empty: only into a store that never had a catalog.  [default: always]",
)
@database_option
@click.pass_obj
def import_(given: dict[str, Any], file: Path, only_if: str | None, database: str | None) -> None:
    """Replace the store's catalog by that of a file.

    FILE is JSON Lines, one service or null topic a line, as `python -m export catalog publish` takes it; - is standard
    input. What differs goes into the history; a file with a mistake changes nothing.
    """
    content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    with opened(given, database) as store:
        if only_if == "empty" and store.revision():
            click.echo(f"{store} has a catalog already")
        else:
            click.echo(store.replace(content, str(file), by=local_name()))


@cli.command("export")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@database_option
@click.pass_obj
def export_(given: dict[str, Any], file: Path, database: str | None) -> None:
    """Write the store's catalog into a file: JSON Lines, unchanged lines as they were imported; - is stdout."""
    with opened(given, database) as store:
        content = store.dump()
    if str(file) == "-":
        sys.stdout.buffer.write(content)
        return
    beside = file.with_name(f".{file.name}.new")
    beside.write_bytes(content)
    beside.replace(file)


@contextmanager
def opened(given: dict[str, Any], database: str | None) -> Iterator[Store]:
    """The store, closed afterwards."""
    from store.store import Store

    store = Store.open(database or given["database"])
    try:
        yield store
    finally:
        store.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status: 0 done, 1 refused with a sentence on stderr, 2 wrong usage."""
    from console.account_cli import account

    cli.add_command(account)
    return run(cli, argv, "python -m console", "what was saved stays saved", _refusals)


def _refusals() -> tuple[type[Exception], ...]:
    """The errors whose text is meant for the user."""
    from malgil_core.catalog.errors import CatalogError

    from console.security.accounts import AccountNameError, PasswordError
    from console.security.secret import SecretError
    from console.settings import SettingsError
    from export.errors import ExportError
    from store.errors import StoreError

    return ExportError, CatalogError, StoreError, SettingsError, SecretError, AccountNameError, PasswordError
