"""Migrations of a store's tables, which opening a store runs: `env.py` for alembic, one file a version."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

HEAD = "v0001"  # the newest version, which this code reads and writes
VERSION_TABLE = "malgil_version"  # not alembic's usual name: another program may use that in the same database


def version_of(connection: Connection) -> str | None:
    """The version of the tables in a database, None if there are none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    version: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    return version


def upgrade(connection: Connection) -> None:
    """Bring the tables to the newest version, within the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
