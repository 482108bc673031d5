"""A store in trouble costs the snooze, never the card and never the deadline (P-10, T23)."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import create_engine, text

from cds_service.app import create_app
from cds_service.fixture_patients import hook_request_for, load_fixture_patients
from cds_service.governance import switchboard
from cds_service.settings import Settings
from tests.http.governed import ADA, LIAM, Site, indicators

FIXTURES = Path(__file__).parents[2] / "fixtures"
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
CALL = "/cds-services/atrophy-risk"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "cards.db"


@pytest.fixture
def caller(database: Path) -> FlaskClient:
    return create_app(Settings(open=True, database_url=f"sqlite:///{database}"), clock=lambda: NOON).test_client()


def ada() -> dict[str, object]:
    patients = load_fixture_patients(FIXTURES, NOON.date())
    return hook_request_for(next(p for p in patients if p.id == "ada-steroid-myopathy"))


def test_a_locked_database_does_not_hold_up_a_call(caller: FlaskClient, database: Path) -> None:
    """Another process writes for long: the card comes, within the deadline."""
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    response = caller.post(CALL, json=ada())
    assert time.monotonic() - began < 1.8
    assert [card["indicator"] for card in response.get_json()["cards"]] == ["warning"]
    other.close()


def test_a_broken_database_does_not_take_the_card_away(caller: FlaskClient, database: Path) -> None:
    """Tables gone: the card comes; feedback is 503 with an OperationOutcome, to be sent again."""
    other = sqlite3.connect(database)
    other.executescript("DROP TABLE feedback; DROP TABLE cards_shown;")
    other.close()
    card = caller.post(CALL, json=ada()).get_json()["cards"][0]
    item = {
        "card": card["uuid"],
        "outcome": "accepted",
        "acceptedSuggestions": [{"id": card["suggestions"][0]["uuid"]}],
        "outcomeTimestamp": NOON.isoformat(),
    }
    answer = caller.post(f"{CALL}/feedback", json={"feedback": [item]})
    assert answer.status_code == 503
    assert answer.get_json()["resourceType"] == "OperationOutcome"


GOVERNED = """
repeat = "once"
[client.silent]
rules = ["falls"]
share_of_users = 0.999999
[client.budget]
cards_per_patient_day = 1
cards_per_user_week = 1
"""
TABLES = ("feedback", "cards_shown", "switches", "rule_days", "counted_cards", "audit")


@pytest.fixture
def governed(tmp_path: Path, database_url: str) -> Iterator[Site]:
    """A client with everything that reads or writes the store during a call, after a call that filled it."""
    site = Site(tmp_path, GOVERNED, database_url)
    (card,) = site.ask(LIAM)["cards"]
    site.override(card, "data-wrong")
    site.ask(ADA)
    yield site
    site.store.close()


def test_without_any_one_table_an_emergency_is_shown(
    governed: Site, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the store cannot tell or take costs restraint and memory, never the card; counts wait for it too."""
    monkeypatch.setattr(switchboard, "LOOK_EVERY", 0.0)
    engine = create_engine(database_url)
    for table in TABLES:
        with engine.begin() as connection:
            connection.execute(text(f"DROP TABLE {table}"))
        assert "critical" in indicators(governed.ask("noor-critical-stands-alone")), table
        governed.service.watch.look()
    assert "critical" in indicators(governed.ask(LIAM)), "what was called wrong cannot be known any more"
    engine.dispose()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_locked_table_does_not_hold_up_a_call(governed: Site, database_url: str) -> None:
    """PostgreSQL by itself would wait for ever."""
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE feedback, cards_shown, counted_cards, audit IN ACCESS EXCLUSIVE MODE"))
        began = time.monotonic()
        assert "critical" in indicators(governed.ask("noor-critical-stands-alone"))
        assert time.monotonic() - began < 1.8
    engine.dispose()
