"""``doctor``: which code systems a chart is written in, and how much of it the rules understand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cds_service.service import load_rule_pack
from cds_service.settings import Settings
from tests.doctor_server import LOCAL, RXNORM, SNOMED, SNOMED_OID, condition, good_server, report
from tests.fhir_server import FhirServer


@pytest.fixture
def server() -> Iterator[FhirServer]:
    with good_server() as running:
        yield running


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
    coding = {"system": RXNORM, "code": "canary-drug"}
    server.put({"resourceType": "Medication", "id": "drug", "code": {"coding": [coding]}})
    found = report(server, capsys)
    assert found["Medication"]["verdict"] == "pass"
    assert found["codes: RxNorm"]["found"] == "1 codings, 0 understood (0%)"


def test_code_systems_are_counted(server: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    """With the share that the rules understand; another spelling of a system is the same system."""
    tables = load_rule_pack(Settings().rules_dir, Settings().today()).knowledge.tables
    understood = next(c.code for codings in tables.codings.values() for c in codings if c.system == SNOMED)
    for number, coding in enumerate([{"system": SNOMED_OID, "code": understood}, {"system": LOCAL, "code": "1"}], 2):
        server.put(condition(number=number) | {"code": {"coding": [coding]}})
    found = report(server, capsys)
    assert found["codes: SNOMED CT"]["verdict"] == "pass"
    assert found["codes: SNOMED CT"]["found"] == "2 codings, 1 understood (50%)"
    assert (found[f"codes: {LOCAL}"]["verdict"], found[f"codes: {LOCAL}"]["found"]) == (
        "warn",
        "1 codings, 1 with none beside it",
    )


def test_a_local_code_beside_a_known_one_is_no_fault(server: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    both = [{"system": LOCAL, "code": "1"}, {"system": SNOMED, "code": "2"}]
    server.put(condition(number=1) | {"code": {"coding": both}})
    assert report(server, capsys)[f"codes: {LOCAL}"]["verdict"] == "pass"


def test_entries_in_words_only_are_counted(server: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.put(condition(number=2) | {"code": {"text": "canary"}})
    finding = report(server, capsys)["codes: none"]
    assert (finding["verdict"], finding["found"]) == ("warn", "1 entries in words only")


def test_a_chart_without_any_known_system_fails(server: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.resources["Condition"] = {"c1": condition(LOCAL)}
    assert report(server, capsys)["codes"]["verdict"] == "fail"
