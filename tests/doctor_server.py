"""A FHIR server that passes every check of ``doctor``, and the report on it: for the tests of that command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cds_service.cli.doctor import examine
from tests.fhir_server import Fault, FhirServer

SNOMED, SNOMED_OID, LOCAL = "http://snomed.info/sct", "urn:oid:2.16.840.1.113883.6.96", "urn:oid:1.2.3"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
TYPES = {
    "Patient": [],
    "Condition": ["patient"],
    "FamilyMemberHistory": ["patient"],
    "MedicationStatement": ["patient"],
    "MedicationRequest": ["patient"],
    "MedicationDispense": ["patient"],
    "MedicationAdministration": ["patient"],
    "Observation": ["patient", "code", "date"],
    "Procedure": ["patient", "date"],
    "DiagnosticReport": ["patient", "date"],
    "ServiceRequest": ["patient", "authored"],
    "Encounter": ["patient", "date"],
    "Appointment": ["patient", "date"],
    "CarePlan": ["patient"],
}
Json = dict[str, Any]


def statement(version: str = "4.0.1", **changes: list[str] | None) -> Fault:
    """What the server says that it can; a type set to None is absent."""
    types = {name: parameters for name, parameters in {**TYPES, **changes}.items() if parameters is not None}
    resources = [{"type": name, "searchParam": [{"name": p} for p in known]} for name, known in types.items()]
    written = {
        "resourceType": "CapabilityStatement",
        "fhirVersion": version,
        "rest": [{"mode": "server", "resource": resources}],
    }
    return Fault(body=json.dumps(written).encode(), headers={"Date": "Fri, 27 Nov 2099 10:00:00 GMT"})


def condition(system: str = SNOMED, number: int = 1) -> Json:
    return {
        "resourceType": "Condition",
        "id": f"c{number}",
        "subject": {"reference": "Patient/canary-id"},
        "code": {"coding": [{"system": system, "code": "canary-code", "display": "canary-display"}]},
    }


def a_page(changed: Json) -> bytes:
    """A Bundle with one Condition that is not as it should be."""
    return json.dumps({"resourceType": "Bundle", "entry": [{"resource": condition() | changed}]}).encode()


@contextmanager
def good_server() -> Iterator[FhirServer]:
    """One patient with one Condition; only its clock is wrong."""
    with FhirServer([{"resourceType": "Patient", "id": "canary-id"}, condition()]) as running:
        running.faults["metadata"] = statement()
        yield running


def report(
    server: FhirServer, capsys: pytest.CaptureFixture[str], patient: str | None = "canary-id"
) -> dict[str, Json]:
    """Findings by check."""
    examine(server.base, None, patient, as_json=True)
    findings = json.loads(capsys.readouterr().out)["findings"]
    return {finding["check"]: finding for finding in findings}
