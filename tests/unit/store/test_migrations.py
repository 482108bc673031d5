"""The tables that the migrations make are the tables that the program expects."""

from datetime import UTC, datetime
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from cds_service.store import Store, audit
from cds_service.store.connection import migrate, open_engine, parse_url, writing
from cds_service.store.schema import metadata
from tests.unit.store.conftest import OpenStore

CARD = "4e0a3a1e-3065-4142-ba52-1d5e2f1e4f6a"
SHOWN = datetime(2026, 11, 2, 12, tzinfo=UTC)


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


def test_what_was_kept_before_is_kept_and_means_the_same(
    open_store: OpenStore, database_url: str, tmp_path: Path
) -> None:
    """A store of revision 0003 with a card, an answer and an audit, brought up to date while nothing is lost."""
    engine = open_engine(parse_url(database_url))
    migrate(engine, "0003")
    store = open_store()
    mark, patient = store.fingerprint("falls", "evidence"), store.fingerprint("https://fhir.example", "p1")
    key = bytes.fromhex((tmp_path / "cds.key").read_text().strip())
    with writing(engine) as connection:
        connection.execute(
            text(
                "INSERT INTO cards_shown VALUES (:card, 'ehr', :patient, '[[\"falls\", \"1.0.0\"]]', :evidence, 'info',"
                " '{}', :at)"
            ),
            {"card": CARD, "patient": patient, "evidence": f'["{mark}"]', "at": SHOWN.isoformat()},
        )
        connection.execute(
            text(
                "INSERT INTO feedback (card, client, outcome, outcome_timestamp, received_at, accepted, reason_code)"
                " VALUES (:card, 'ehr', 'overridden', :at, :at, '[]', 'data-wrong')"
            ),
            {"card": CARD, "at": SHOWN.isoformat()},
        )
        audit.append(connection, key, (SHOWN, "call", "ehr", {"cards": []}))
    engine.dispose()

    store.migrate()

    memory = store.memory("ehr", "https://fhir.example", "p1")
    answer = memory.answer("falls", "evidence")
    assert answer is not None
    assert (answer.card, answer.at, answer.cited) == (CARD, SHOWN, frozenset())
    assert memory.last_shown("falls", "evidence") == (SHOWN, "info")
    assert memory.disputed(("data-wrong",)) is None, "what the card cited was not kept then"
    assert store.shown_card("ehr", CARD) is None, "nor why it was shown"
    assert [outcome.rules for outcome in store.outcomes(None)] == [("falls",)]
    assert (store.verify_audit(None).entries, store.verify_audit(None).problem) == (1, None)
    assert store.governance.switches() == ()
    store.note_shown("ehr", patient, (), SHOWN, {"cards": []})
    assert store.verify_audit(None).entries == 2


def test_sqlite_waits_for_writers_and_survives_a_power_failure(tmp_path: Path) -> None:
    engine = open_engine(parse_url(f"sqlite:///{tmp_path}/cds.db"))
    with engine.connect() as connection:
        values = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
    engine.dispose()

    assert values == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 5000, "foreign_keys": 1}
