"""The first tables: entries of the catalog, history, accounts, test sets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0001"
down_revision = None

TIME = sa.DateTime(timezone=True)
APPEND_ONLY = "the history only grows"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "entries",
        sa.Column("key", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("id", sa.BigInteger),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Text),
        sa.Column("source", sa.LargeBinary),
        sa.Column("line", sa.LargeBinary),
        sa.Column("lead", sa.LargeBinary, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("changed_by", sa.Text, nullable=False),
    )
    op.create_index("entries_id", "entries", ["id"])
    op.create_index("entries_position", "entries", ["position"])
    there = sa.text("value IS NOT NULL")
    op.create_index("entries_once", "entries", ["id"], unique=True, sqlite_where=there, postgresql_where=there)
    catalog = op.create_table(
        "catalog",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("head", sa.LargeBinary, nullable=False),
        sa.Column("tail", sa.LargeBinary, nullable=False),
    )
    op.bulk_insert(catalog, [{"number": 1, "revision": 0, "head": b"", "tail": b"\n"}])
    op.create_table(
        "history",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.BigInteger, sa.ForeignKey("entries.key")),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("version", sa.Integer),
    )
    op.create_index("history_entry", "history", ["kind", "key", "number"])
    _append_only()
    op.create_table(
        "accounts",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("password_hash", sa.Text),
    )
    op.create_table(
        "test_sets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("changed_by", sa.Text, nullable=False),
    )


def _append_only() -> None:
    if op.get_context().dialect.name == "sqlite":
        refuse = f"BEGIN SELECT RAISE(ABORT, '{APPEND_ONLY}'); END"
        op.execute(f"CREATE TRIGGER history_update BEFORE UPDATE ON history {refuse}")
        op.execute(f"CREATE TRIGGER history_delete BEFORE DELETE ON history {refuse}")
        # INSERT OR REPLACE deletes a row without asking the trigger above.
        there = "WHEN EXISTS (SELECT 1 FROM history WHERE number = NEW.number)"
        op.execute(f"CREATE TRIGGER history_replace BEFORE INSERT ON history {there} {refuse}")
        return
    op.execute(
        "CREATE FUNCTION history_only_grows() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{APPEND_ONLY}'; END $$"
    )
    function = "EXECUTE FUNCTION history_only_grows()"
    op.execute(f"CREATE TRIGGER history_rows BEFORE UPDATE OR DELETE ON history FOR EACH ROW {function}")
    op.execute(f"CREATE TRIGGER history_all BEFORE TRUNCATE ON history FOR EACH STATEMENT {function}")
