"""What EHRs do when they are asked over FHIR, with real requests to a server of our own (P-03, P-08, P-09).

The resources are those of the calls beside this file (synthetic), served under the base of the test's server.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.settings import Settings
from tests.ehr import PUBLIC_URL, Ehr, write_clients
from tests.ehr_shapes.test_shapes import NOW, RXNORM, STEROID_MYOPATHY, sent_by, states, statuses
from tests.fhir_server import Fault, FhirServer

CALL = "/cds-services/atrophy-risk"
PREDNISONE = {"coding": [{"system": RXNORM, "code": "312615"}]}
Json = dict[str, Any]
Ask = Callable[..., Json]


@pytest.fixture
def fhir() -> Iterator[FhirServer]:
    with FhirServer() as server:
        yield server


@pytest.fixture
def ask(fhir: FhirServer, tmp_path: Path) -> Ask:
    """Serves the resources of a call, sends the call without prefetch, and gives the body of a 200."""
    ehr = Ehr()

    def send(name: str, agreed: str = "") -> Json:
        written = sent_by(name)
        call = json.loads(json.dumps(written).replace(written["fhirServer"], fhir.base))
        prefetch = call.pop("prefetch")
        fhir.put(prefetch["patient"])
        for found in prefetch.values():
            for entry in (found or {}).get("entry", ()):
                if entry["resource"]["resourceType"] != "OperationOutcome":
                    fhir.put(entry["resource"])
        call.setdefault("fhirAuthorization", sent_by("epic")["fhirAuthorization"])
        client = client_of(write_clients(tmp_path, ehr, f"{agreed}\n{listed(fhir)}"), tmp_path)
        response = client.post(CALL, json=call, headers=ehr.bearer(CALL))
        assert response.status_code == 200, response.get_json()
        body: Json = response.get_json()
        return body

    return send


def listed(fhir: FhirServer) -> str:
    return f'fhir = [{{ base = "{fhir.base}", networks = ["127.0.0.0/8"], insecure_http = true }}]'


def client_of(clients: Path, folder: Path) -> FlaskClient:
    settings = Settings(clients_file=clients, public_url=PUBLIC_URL, database_url=f"sqlite:///{folder}/cds.db")
    return create_app(settings, clock=lambda: NOW).test_client()


class TestEpic:
    AGREED = 'profile = "epic"\naccepted_gaps = ["medicationStatements"]'

    def test_the_medication_behind_an_absolute_reference_is_read_once(self, ask: Ask, fhir: FhirServer) -> None:
        """P-09: the order holds reference and display only. The scope of the token is Epic's text, not SMART's."""
        fhir.put({"resourceType": "Medication", "id": "eMed1", "code": PREDNISONE})
        body = ask("epic", self.AGREED)
        assert statuses(body)[STEROID_MYOPATHY] == "fired"
        assert body["cards"][0]["indicator"] == "warning"
        assert "by the code of the Medication it refers to" in body["cards"][0]["detail"]
        assert len(fhir.asked("Medication")) == 1

    def test_a_medication_that_may_not_be_read_leaves_words_that_raise_nothing(
        self, ask: Ask, fhir: FhirServer
    ) -> None:
        """A-07, and what was not read is named."""
        fhir.faults["Medication"] = Fault(status=403)
        body = ask("epic", self.AGREED)
        assert {card["indicator"] for card in body["cards"]} == {"info"}
        assert "from its words only, no code" in body["cards"][0]["detail"]
        assert states(body)["medicationRequests"] == "incomplete"

    def test_medication_statements_are_not_asked_for_and_not_on_a_card(self, ask: Ask, fhir: FhirServer) -> None:
        """P-03: there is no R4 search for them."""
        body = ask("epic", self.AGREED)
        assert fhir.asked("MedicationStatement") == []
        assert states(body)["medicationStatements"] == "not-offered"
        assert not any("medication statements" in card["detail"] for card in body["cards"])

    def test_an_outcome_beside_what_was_found_is_only_counted(self, ask: Ask, fhir: FhirServer) -> None:
        """P-02: 4119 and 4101 are warnings."""
        coding = {"system": "urn:oid:1.2.840.114350.1.13.0.1.7.2.657369", "code": "4119"}
        issue = {"severity": "warning", "code": "processing", "details": {"coding": [coding]}}
        outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
        fhir.faults["Condition"] = Fault(entry={"resource": outcome, "search": {"mode": "outcome"}})
        body = ask("epic", self.AGREED)
        assert states(body)["conditions"] == "complete"
        assert statuses(body)["unexplained-weakness-wasting"] == "fired"


class TestOracleHealth:
    def test_the_path_of_its_tenant_is_part_of_the_server(self, ask: Ask, fhir: FhirServer) -> None:
        """P-08: the FHIR base with its path is one server; its own absolute references are followed."""
        body = ask("oracle_health", 'profile = "oracle-health"')
        assert statuses(body)[STEROID_MYOPATHY] == "fired"

    def test_another_tenant_of_the_host_is_another_server(self, ask: Ask, fhir: FhirServer) -> None:
        """P-08, T4: a reference that leads there is not followed, and its source is incomplete."""
        order = {
            "resourceType": "MedicationRequest",
            "id": "elsewhere",
            "status": "active",
            "intent": "order",
            "subject": {"reference": "Patient/12724066"},
            "authoredOn": NOW.date().isoformat(),
            "medicationReference": {"reference": f"{fhir.origin}/another-tenant/Medication/1"},
        }
        fhir.put(order)
        body = ask("oracle_health")
        assert states(body)["medicationRequests"] == "incomplete"
        assert not [seen for seen in fhir.seen if "another-tenant" in seen.target]


def test_athenahealth_ids_with_dots_are_asked_for_as_they_are(ask: Ask, fhir: FhirServer) -> None:
    body = ask("athenahealth", 'profile = "athenahealth"')
    assert body["cards"][0]["indicator"] == "warning"
    assert {seen.query["patient"] for seen in fhir.asked("Condition")} == {"a-195900.E-14914"}
