"""Every worked patient over HTTP, by prefetch and by own fetch: the answer of the case, and equal cards (C30)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from flask.testing import FlaskClient

from cds_service.app import STORE, create_app
from cds_service.case_resources import PATIENT_ID, case_resources
from cds_service.cases import Case
from cds_service.fhir.reader import RESOURCES
from cds_service.record import SourceName
from cds_service.rule_engine.loader import Knowledge, load_knowledge
from cds_service.rule_engine.model import INDICATOR_RANK
from cds_service.settings import Settings
from tests.fhir_server import FhirServer
from tests.worked_patients import RULES, by_rule

AS_OF = datetime(2026, 11, 2, 12, tzinfo=UTC)
Json = dict[str, Any]


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load_knowledge(RULES, AS_OF.date())


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A client of the real service at a fixed moment, with time enough for a busy machine."""
    database = tmp_path_factory.mktemp("store") / "cards.db"
    settings = Settings(open=True, database_url=f"sqlite:///{database}", deadline_seconds=20)
    app = create_app(settings, clock=lambda: AS_OF)
    yield app.test_client()
    app.extensions[STORE].close()


def call(caller: FlaskClient, **parts: object) -> Json:
    body = {
        "hook": "patient-view",
        "hookInstance": str(uuid.uuid4()),
        "context": {"userId": "Practitioner/1", "patientId": PATIENT_ID},
        **parts,
    }
    response = caller.post("/cds-services/atrophy-risk", json=body)
    assert response.status_code == 200, response.text
    answer: Json = response.get_json()
    return answer


def prefetch_of(resources: tuple[Json, ...]) -> Json:
    """Every key: the Patient, a searchset, or null where there is nothing (C34)."""
    prefetch: Json = {}
    for name in get_args(SourceName):
        own = [r for r in resources if r["resourceType"] == RESOURCES[name].__name__]
        searchset = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in own]}
        prefetch[name] = own[0] if name == "patient" else searchset if own else None
    return prefetch


def without_uuids(value: Any) -> Any:
    """The answer without what differs by design."""
    if isinstance(value, dict):
        return {k: without_uuids(v) for k, v in value.items() if k not in ("uuid", "asOf", "origin")}
    return [without_uuids(one) for one in value] if isinstance(value, list) else value


def indicators(answer: Json) -> dict[str, str]:
    return {
        rule["id"]: card["indicator"]
        for card in answer["cards"]
        if "org.atrophy-cds.assessment" in card.get("extension", {})
        for rule in card["extension"]["org.atrophy-cds.assessment"]["rules"]
    }


@by_rule
def test_prefetch_and_own_fetch_give_the_same_cards(
    cases: list[Case], caller: FlaskClient, knowledge: Knowledge
) -> None:
    """C30: the same patient by both paths, equal but for the uuids; and what the case expects is what came."""
    for case in cases:
        resources = case_resources(case, knowledge.tables, AS_OF)
        by_prefetch = call(caller, prefetch=prefetch_of(resources))
        with FhirServer(resources) as server:
            by_fetch = call(caller, fhirServer=server.base)
        assert without_uuids(by_prefetch["cards"]) == without_uuids(by_fetch["cards"]), case.id
        shown = indicators(by_prefetch)
        rules = {rule["id"]: rule for rule in by_prefetch["extension"]["org.atrophy-cds.evaluation"]["rules"]}
        for rule, expected in case.expect.items():
            if expected not in INDICATOR_RANK:
                assert rules[rule]["status"] != "fired", (case.id, rule)
            elif rules[rule]["reason"] not in ("held-back-by-critical", "nothing-left-to-offer"):
                assert rules[rule]["status"] == "fired", (case.id, rule)
                # B-50: a card takes the highest indicator among its rules.
                assert INDICATOR_RANK[shown[rule]] >= INDICATOR_RANK[expected], (case.id, rule)
