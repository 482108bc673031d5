"""Charts, and calls of the real service with one source left to be fetched."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.fhir.reading.kinds import RESOURCES
from cds_service.settings import Settings

DEADLINE = 0.4
GRACE = 0.3  # P-42: plus 10 % or 300 ms, whichever is more
NOW = datetime.now(UTC)
EVALUATION, ASSESSMENT = "org.atrophy-cds.evaluation", "org.atrophy-cds.assessment"
Json = dict[str, Any]


def day(days_ago: int) -> str:
    return (NOW.date() - timedelta(days=days_ago)).isoformat()


SUBJECT = {"reference": "Patient/p1"}
PREDNISONE = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "312615"}]}
DAILY = {
    "timing": {
        "repeat": {"frequency": 1, "period": 1, "periodUnit": "d", "boundsPeriod": {"start": day(120), "end": day(-9)}}
    },
    "doseAndRate": [{"doseQuantity": {"value": 20, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}}],
}  # fmt: skip
PATIENT: Json = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": f"{NOW.year - 50}-01-01"}


def condition(code: str) -> Json:
    return {
        "resourceType": "Condition",
        "id": "c1",
        "subject": SUBJECT,
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}]},
        "onsetDateTime": day(30),
    }


CHARTS: dict[str, list[Json]] = {
    "carded": [
        PATIENT,
        condition("M62.81"),
        {
            "resourceType": "MedicationStatement", "id": "s1", "status": "active", "subject": SUBJECT,
            "effectivePeriod": {"start": day(120)}, "medicationCodeableConcept": PREDNISONE, "dosage": [DAILY],
        },
        {
            "resourceType": "MedicationRequest", "id": "r1", "status": "active", "intent": "order", "subject": SUBJECT,
            "authoredOn": day(120), "medicationCodeableConcept": PREDNISONE, "dosageInstruction": [DAILY],
        },
    ],
    "plain": [
        PATIENT,
        condition("I10"),
        {
            "resourceType": "Observation", "id": "o1", "status": "final", "subject": SUBJECT,
            "effectiveDateTime": day(3),
            "code": {"coding": [{"system": "http://loinc.org", "code": "2823-3"}]},
            "valueQuantity": {"value": 4.0, "unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"},
        },
    ],
}  # fmt: skip


def client_with(folder: Path, deadline: float, **more: Any) -> FlaskClient:
    """The service in open mode; ``more`` are settings."""
    settings = Settings(open=True, database_url=f"sqlite:///{folder}/cds.db", deadline_seconds=deadline, **more)
    return create_app(settings, clock=lambda: NOW).test_client()


def prefetch_without(source: str, chart: str) -> Json:
    """The chart as prefetch, whole, but for one source."""
    prefetch: Json = {}
    for name, kind in RESOURCES.items():
        found = [r for r in CHARTS[chart] if r["resourceType"] == kind.__name__]
        prefetch[name] = found[0] if name == "patient" else searchset(*found)
    del prefetch[source]
    return prefetch


def searchset(*resources: Json) -> Json:
    """A page with these resources."""
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in resources]}


def call(client: FlaskClient, base: str | None, prefetch: Json, **more: Any) -> tuple[int, Json, float]:
    """Status, body and seconds of a call; ``base`` is that of the FHIR server, if there is one."""
    body = {
        "hook": "patient-view",
        "hookInstance": str(uuid.uuid4()),
        "context": {"userId": "Practitioner/u1", "patientId": "p1"},
        "prefetch": prefetch,
        **({"fhirServer": base} if base else {}),
        **more,
    }
    started = time.monotonic()
    response = client.post("/cds-services/atrophy-risk", json=body, base_url="http://localhost")
    return response.status_code, response.get_json(), time.monotonic() - started


def cards(body: Json) -> list[str]:
    """Each card by its indicator; the one that names gaps as "gap"."""
    return [card["indicator"] if ASSESSMENT in card.get("extension", {}) else "gap" for card in body["cards"]]


def sources(body: Json) -> dict[str, Json]:
    return {source["name"]: source for source in body["extension"][EVALUATION]["sources"]}


def states(body: Json) -> dict[str, str]:
    return {name: source["state"] for name, source in sources(body).items()}
