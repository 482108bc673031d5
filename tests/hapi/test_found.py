"""P-01 on a real HAPI FHIR: no filter of ours hides a running course or an undated problem, by either path."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tests.hapi.conftest import NOW
from tests.hapi.ehr_server import EhrServer, Json, Service, rules

RXNORM_PREDNISONE_20 = {
    "system": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "code": "312615",
    "display": "prednisone 20 MG Oral Tablet",
}
WEAKNESS = {"system": "http://snomed.info/sct", "code": "249939004", "display": "Proximal muscle weakness"}
DAILY = {
    "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
    "doseAndRate": [{"doseQuantity": {"value": 20, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}}],
}


def day(days_ago: int) -> str:
    return (NOW.date() - timedelta(days=days_ago)).isoformat()


def patient(name: str) -> Json:
    birth = date(NOW.year - 60, 1, 1).isoformat()
    return {"resourceType": "Patient", "id": name, "birthDate": birth, "gender": "female"}


def weakness(name: str, **fields: object) -> Json:
    return {
        "resourceType": "Condition",
        "id": f"{name}-weakness",
        "subject": {"reference": f"Patient/{name}"},
        "code": {"coding": [WEAKNESS]},
        **fields,
    }


def order(name: str, **bounds: str) -> Json:
    timing = {
        "repeat": {"frequency": 1, "period": 1, "periodUnit": "d", **({"boundsPeriod": bounds} if bounds else {})}
    }
    return {
        "resourceType": "MedicationRequest",
        "id": f"{name}-order",
        "status": "active",
        "intent": "order",
        "subject": {"reference": f"Patient/{name}"},
        "authoredOn": day(660),
        "medicationCodeableConcept": {"coding": [RXNORM_PREDNISONE_20]},
        "dosageInstruction": [{**DAILY, "timing": timing}],
    }


def open_ended_order(name: str) -> list[Json]:
    return [order(name, start=day(660))]


def running_order(name: str) -> list[Json]:
    """Authored 660 days ago for a period that still runs, and weakness since a month."""
    return [order(name, start=day(660), end=day(-30)), weakness(name, onsetDateTime=day(30))]


def statement_with_a_moment_only(name: str) -> list[Json]:
    statement = {
        "resourceType": "MedicationStatement",
        "id": f"{name}-statement",
        "status": "active",
        "subject": {"reference": f"Patient/{name}"},
        "effectiveDateTime": day(700),
        "medicationCodeableConcept": {"coding": [RXNORM_PREDNISONE_20]},
        "dosage": [DAILY],
    }
    return [statement]


def condition_without_status_or_dates(name: str) -> list[Json]:
    return [weakness(name)]


CHARTS = {
    "open-ended-order": open_ended_order,
    "running-order": running_order,
    "statement-of-a-moment": statement_with_a_moment_only,
    "undated-condition": condition_without_status_or_dates,
}


@pytest.mark.parametrize("name", CHARTS)
def test_it_is_found_by_prefetch_and_by_fetch(hapi: EhrServer, service: Service, name: str) -> None:
    """What counts of it is the rules' affair (B-31, B-70); that it was seen is ours."""
    resources = CHARTS[name](name)
    hapi.put_all([patient(name), *resources])
    wanted = {f"{r['resourceType']}/{r['id']}" for r in resources}
    assert wanted <= service.references_read(name, prefetch=hapi.prefetch(service.templates, name))
    assert wanted <= service.references_read(name, fhirServer=hapi.base)


def test_an_order_of_660_days_ago_that_still_runs_fires(hapi: EhrServer, service: Service) -> None:
    hapi.put_all([patient("still-running"), *running_order("still-running")])
    for way in ({"prefetch": hapi.prefetch(service.templates, "still-running")}, {"fhirServer": hapi.base}):
        _, body = service.call("still-running", **way)
        assert rules(body)["steroid-myopathy"] == "fired"


def test_an_undated_condition_without_status_fires(hapi: EhrServer, service: Service) -> None:
    hapi.put_all([patient("no-dates"), *condition_without_status_or_dates("no-dates")])
    for way in ({"prefetch": hapi.prefetch(service.templates, "no-dates")}, {"fhirServer": hapi.base}):
        _, body = service.call("no-dates", **way)
        assert rules(body)["unexplained-weakness-wasting"] == "fired"
