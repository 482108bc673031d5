"""The tables that the migrations make are the tables that the program expects."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect

from cds_service.store import Store
from cds_service.store.connection import open_engine, parse_url
from cds_service.store.schema import metadata


def test_the_newest_revision_is_the_schema(store: Store, database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        made, meant = inspect(connection), metadata.tables
        for name, table in meant.items():
            assert [column["name"] for column in made.get_columns(name)] == [column.name for column in table.columns]
    engine.dispose()


def test_migrating_twice_changes_nothing(store: Store) -> None:
    store.migrate()


def test_sqlite_waits_for_writers_and_survives_a_power_failure(tmp_path: Path) -> None:
    engine = open_engine(parse_url(f"sqlite:///{tmp_path}/cds.db"))
    with engine.connect() as connection:
        values = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
    engine.dispose()

    assert values == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 5000, "foreign_keys": 1}
