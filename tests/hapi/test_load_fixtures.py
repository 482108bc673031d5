"""``load-fixtures`` against a real HAPI FHIR: each patient replaces itself, a refusal tells why and stores nothing."""

from __future__ import annotations

import msgspec
import pytest
import requests

from cds_service.cli.load_fixtures import NotWritten, write
from cds_service.fixture_patients import FixturePatient
from tests.hapi.ehr_server import FHIR, EhrServer


@pytest.fixture
def session() -> requests.Session:
    session = requests.Session()
    session.headers.update({"Accept": FHIR, "Content-Type": FHIR})
    return session


def test_written_twice_nothing_is_there_twice(
    hapi: EhrServer, session: requests.Session, patients: tuple[FixturePatient, ...]
) -> None:
    ada = patients[0]
    search = f"MedicationStatement?patient={ada.id}&_total=accurate"
    before = hapi.get(search).json()["total"]
    write(session, hapi.base, ada)
    assert before > 0
    assert hapi.get(search).json()["total"] == before


def test_a_refusal_tells_what_the_server_said_and_stores_nothing(
    hapi: EhrServer, session: requests.Session, patients: tuple[FixturePatient, ...]
) -> None:
    """HAPI-0541 and its like: a reference that leads nowhere refuses the whole transaction."""
    stray = {
        "resource": {
            "resourceType": "Condition",
            "id": "stray-condition",
            "subject": {"reference": "urn:uuid:5f3b2c1e-0000-4000-8000-000000000000"},
        },
        "request": {"method": "PUT", "url": "Condition/stray-condition"},
    }
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [stray]}
    with pytest.raises(NotWritten, match="400 HAPI-"):
        write(session, hapi.base, msgspec.structs.replace(patients[0], bundle=bundle))
    assert hapi.get("Condition/stray-condition").status_code == 404
