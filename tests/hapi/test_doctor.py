"""``doctor`` against a real HAPI FHIR: nothing fails, and what it warns of is so."""

from __future__ import annotations

import json

import pytest

from cds_service.cli.doctor import examine
from tests.hapi.ehr_server import EhrServer


def test_nothing_fails(hapi: EhrServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert examine(hapi.base, None, "bram-dexamethasone", as_json=True) == 0
    out = capsys.readouterr().out
    found = {finding["check"]: finding for finding in json.loads(out)["findings"]}
    assert found["FHIR version"]["found"] == "4.0.1"
    assert found["parameters"]["verdict"] == "pass"
    assert found["search by POST"]["found"].startswith("taken")
    assert found["Medication"]["verdict"] == "pass"
    assert "bram" not in out


def test_a_patient_who_is_not_there_is_not_taken_for_an_empty_chart(
    hapi: EhrServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its searches answer 200 with nothing; only reading the Patient tells."""
    assert examine(hapi.base, None, "nobody-here", as_json=True) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [finding["check"] for finding in findings if finding["verdict"] == "fail"] == ["Patient"]
