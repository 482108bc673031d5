"""``doctor``: each check passes on a good server and says what to do on one that lacks something."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cds_service.cli.doctor import examine
from cds_service.errors import SettingsError
from tests.fhir_server import Fault, FhirServer

SNOMED, LOCAL = "http://snomed.info/sct", "urn:oid:1.2.3"
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


@pytest.fixture
def server() -> Iterator[FhirServer]:
    with FhirServer([{"resourceType": "Patient", "id": "canary-id"}, condition()]) as running:
        running.faults["metadata"] = statement()
        yield running


def report(
    server: FhirServer, capsys: pytest.CaptureFixture[str], patient: str | None = "canary-id"
) -> dict[str, Json]:
    examine(server.base, None, patient, as_json=True)
    findings = json.loads(capsys.readouterr().out)["findings"]
    return {finding["check"]: finding for finding in findings}


def test_a_good_server_passes(server: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.faults["metadata"].headers = {}
    assert examine(server.base, None, "canary-id", as_json=True) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert {f["verdict"] for f in findings} == {"pass", "skipped"}
    assert all(f["milliseconds"] >= 0 for f in findings if f["check"].startswith("search"))


def test_without_a_patient_the_first_is_taken(server: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(server, capsys, patient=None)["Patient"]["found"] == "the first that a search finds"


@pytest.mark.parametrize(
    ("fault", "check", "verdict", "word"),
    [
        ({"metadata": Fault(status=404)}, "reachable", "fail", "FHIR base"),
        ({"metadata": Fault(body=b"<html>")}, "reachable", "fail", "login page"),
        ({"metadata": Fault(body=b"{}")}, "reachable", "warn", "every search is tried"),
        ({"metadata": statement("3.0.2")}, "FHIR version", "fail", "4.0.1"),
        ({"metadata": statement(CarePlan=None)}, "types", "warn", "accepted_gaps"),
        ({"metadata": statement(Condition=None)}, "types", "fail", "required"),
        ({"metadata": statement(Procedure=["patient"])}, "parameters", "warn", "by patient alone"),
        ({}, "clock", "fail", "clocks"),
        ({"Patient": Fault(status=401)}, "Patient", "fail", "scope"),
        ({"Condition": Fault(status=403)}, "search Condition", "fail", "scope lacks"),
        ({"CarePlan": Fault(status=404)}, "search CarePlan", "warn", "accepted gap"),
        ({"Condition": Fault(status=404)}, "search Condition", "fail", "accepted gap"),
        ({"Observation": Fault(status=500)}, "search Observation", "fail", "log"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said_with_what_to_do(
    server: FhirServer, capsys: pytest.CaptureFixture[str], fault: dict[str, Fault], check: str, verdict: str, word: str
) -> None:
    server.faults.update(fault)
    finding = report(server, capsys)[check]
    assert finding["verdict"] == verdict
    assert word in finding["advice"]


def test_a_refused_parameter_is_a_warning(server: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.lacks = frozenset({"date"})
    finding = report(server, capsys)["search Procedure"]
    assert (finding["verdict"], finding["advice"]) == ("warn", "a parameter was refused (400)")


def test_paging_is_tried(server: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(2, 80):
        server.put(condition(number=number))
    finding = report(server, capsys)["paging"]
    assert (finding["verdict"], finding["found"]) == ("warn", "50 entries to a page whatever is asked")
    server.faults["next"] = Fault(status=410)
    assert report(server, capsys)["paging"]["verdict"] == "fail"


def test_medications_that_are_referred_to_are_read(server: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.put(
        {
            "resourceType": "MedicationRequest",
            "id": "m1",
            "subject": {"reference": "Patient/canary-id"},
            "medicationReference": {"reference": "Medication/drug"},
        }
    )
    assert report(server, capsys)["Medication"]["verdict"] == "warn"
    server.put({"resourceType": "Medication", "id": "drug"})
    assert report(server, capsys)["Medication"]["verdict"] == "pass"


def test_code_systems_are_counted(server: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.put(condition(LOCAL, 2))
    found = report(server, capsys)
    assert (found["codes: SNOMED CT"]["verdict"], found["codes: SNOMED CT"]["found"]) == ("pass", "1 codings")
    assert found[f"codes: {LOCAL}"]["verdict"] == "skipped"


def test_a_chart_without_any_known_system_fails(server: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.resources["Condition"] = {"c1": condition(LOCAL)}
    assert report(server, capsys)["codes"]["verdict"] == "fail"


def test_the_report_holds_nothing_of_the_patient(server: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    """T10: counts and code systems only; and the sheet for the EHR's analyst is part of it."""
    examine(server.base, None, "canary-id", as_json=False)
    examine(server.base, None, "canary-id", as_json=True)
    out, err = capsys.readouterr()
    assert "canary" not in out + err
    assert "conditions\tCondition?patient={{context.patientId}}&_count=1000" in out


def test_the_token_comes_from_a_file(server: FhirServer, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """T38."""
    (tmp_path / "token").write_text("secret\n")
    examine(server.base, tmp_path / "token", None, as_json=True)
    assert {seen.headers.get("Authorization") for seen in server.seen} == {"Bearer secret"}
    assert "secret" not in capsys.readouterr().out


@pytest.mark.parametrize("base", ["http://fhir.example/r4", "file:///etc", "http://169.254.169.254/"])
def test_t1_a_server_that_must_not_be_contacted(base: str) -> None:
    with pytest.raises(SettingsError, match="not contacted"):
        examine(base, None, None, as_json=True)
