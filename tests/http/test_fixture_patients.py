"""Every synthetic patient gets, over HTTP, the cards that ``fixtures/expected.toml`` says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.fixture_patients import FixturePatient, hook_request_for, load_fixture_patients
from cds_service.settings import Settings

FIXTURES = Path(__file__).parents[2] / "fixtures"
ANCHOR = date(2026, 11, 2)
PATIENTS = load_fixture_patients(FIXTURES, ANCHOR)
NAMES = [patient.id for patient in PATIENTS]


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A client of the real service, with the clock at noon of the anchor day."""
    database = tmp_path_factory.mktemp("store") / "cards.db"
    settings = Settings(open=True, database_url=f"sqlite:///{database}")
    app = create_app(settings, clock=lambda: datetime(ANCHOR.year, ANCHOR.month, ANCHOR.day, 12, tzinfo=UTC))
    yield app.test_client()
    app.extensions["atrophy_cds_store"].close()


def answer(caller: FlaskClient, patient: FixturePatient) -> dict[str, Any]:
    response = caller.post("/cds-services/atrophy-risk", json=hook_request_for(patient))
    assert response.status_code == 200
    body: dict[str, Any] = response.get_json()
    return body


@pytest.mark.parametrize("patient", PATIENTS, ids=NAMES)
def test_the_cards_are_the_expected_ones(patient: FixturePatient, caller: FlaskClient) -> None:
    """Indicator and rules of each card, in order; nothing else."""
    cards = [
        (card["indicator"], tuple(rule["id"] for rule in card["extension"]["org.atrophy-cds.assessment"]["rules"]))
        for card in answer(caller, patient)["cards"]
    ]
    assert [(card.indicator, card.rules) for card in patient.expected_cards] == cards


@pytest.mark.parametrize("patient", PATIENTS, ids=NAMES)
def test_every_rule_answers_as_expected(patient: FixturePatient, caller: FlaskClient) -> None:
    """Fired, suppressed and near-miss rules, from the response extension (P-23)."""
    rules = answer(caller, patient)["extension"]["org.atrophy-cds.evaluation"]["rules"]
    status = {rule["id"]: rule["status"] for rule in rules}
    fired = {rule for rule, value in status.items() if value == "fired"}
    held = {rule["id"] for rule in rules if rule["reason"] == "held-back-by-critical"}
    assert set(patient.fired) - set(patient.held_back) == fired
    assert set(patient.held_back) == held
    assert {*patient.suppressed} <= {rule for rule, value in status.items() if value == "suppressed"}
    assert not fired & set(patient.near_misses)
