"""Migrations: what they make is what the code reads and writes."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from export import ROOT
from store import migrations, schema
from store.store import Store


def test_the_tables_of_the_newest_migration_are_those_of_the_code(database: str) -> None:
    assert ScriptDirectory(str(ROOT / "store/migrations")).get_heads() == [migrations.HEAD]
    with Store.open(database) as store, store._database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": migrations.VERSION_TABLE})
        assert compare_metadata(context, schema.metadata) == []
