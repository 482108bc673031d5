"""The whole service for a CDS Client of the file: which FHIR servers it reads for whom (P-25, P-30, T1, T4)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.fixture_patients import FixturePatient, load_fixture_patients
from cds_service.settings import Settings
from tests.ehr import PUBLIC_URL, Ehr, write_clients
from tests.fhir_server import Fault, FhirServer
from tests.http.stand_in import CALL, NOW, an_authorization

EXTENSION = "org.atrophy-cds.evaluation"


@pytest.fixture(scope="module")
def patient() -> FixturePatient:
    patients = load_fixture_patients(Settings().fixtures_dir, NOW.date())
    return next(p for p in patients if p.id == "ada-steroid-myopathy")


@pytest.fixture
def fhir(patient: FixturePatient) -> Iterator[FhirServer]:
    with FhirServer() as server:
        server.transact(patient.bundle)
        yield server


@pytest.fixture
def ehr() -> Ehr:
    return Ehr()


def client_for(settings: Settings, clients: Path) -> FlaskClient:
    closed = msgspec.structs.replace(settings, open=False, clients_file=clients, public_url=PUBLIC_URL)
    return create_app(closed, clock=lambda: NOW).test_client()


def answer(client: FlaskClient, ehr: Ehr, patient: FixturePatient, **body: Any) -> tuple[int, dict[str, Any]]:
    """Status and body of a call without prefetch."""
    call = {
        "hook": "patient-view",
        "hookInstance": str(uuid.uuid4()),
        "context": {"userId": "Practitioner/u1", "patientId": patient.id},
        **body,
    }
    response = client.post(CALL, json=call, headers=ehr.bearer(CALL))
    return response.status_code, response.get_json()


def entry(fhir: FhirServer, more: str = "") -> str:
    return f'{more}\nfhir = [{{ base = "{fhir.base}", networks = ["127.0.0.0/8"], insecure_http = true }}]'


def test_its_listed_server_is_read_with_the_token_of_the_call(
    settings: Settings, ehr: Ehr, fhir: FhirServer, patient: FixturePatient, tmp_path: Path
) -> None:
    client = client_for(settings, write_clients(tmp_path, ehr, entry(fhir)))
    scope = "patient/*.rs"
    status, body = answer(
        client, ehr, patient, fhirServer=fhir.base, fhirAuthorization=an_authorization(scope=scope, patient=patient.id)
    )
    assert status == 200
    assert body["cards"][0]["indicator"] == "warning"
    read = [seen for seen in fhir.seen if seen.resource_type != "metadata"]  # that is for everybody, without a token
    assert {seen.headers["Authorization"] for seen in read} == {"Bearer canary-token"}


def test_p25_without_a_token_nothing_is_fetched(
    settings: Settings, ehr: Ehr, fhir: FhirServer, patient: FixturePatient, tmp_path: Path
) -> None:
    client = client_for(settings, write_clients(tmp_path, ehr, entry(fhir)))
    status, body = answer(client, ehr, patient, fhirServer=fhir.base)
    assert (status, body["resourceType"]) == (412, "OperationOutcome")
    assert fhir.seen == []


def test_p25_unless_that_was_agreed(
    settings: Settings, ehr: Ehr, fhir: FhirServer, patient: FixturePatient, tmp_path: Path
) -> None:
    client = client_for(settings, write_clients(tmp_path, ehr, entry(fhir, "anonymous_fhir = true")))
    status, body = answer(client, ehr, patient, fhirServer=fhir.base)
    assert (status, body["cards"][0]["indicator"]) == (200, "warning")


@pytest.mark.parametrize("listed", [True, False], ids=["another path", "nothing listed"])
def test_t1_a_server_that_is_not_listed_is_never_contacted(
    settings: Settings, ehr: Ehr, fhir: FhirServer, patient: FixturePatient, tmp_path: Path, *, listed: bool
) -> None:
    """The call is not refused for it: prefetch would be used; here nothing came, so 412."""
    client = client_for(settings, write_clients(tmp_path, ehr, entry(fhir) if listed else ""))
    status, _ = answer(
        client, ehr, patient, fhirServer=f"{fhir.base}/other", fhirAuthorization=an_authorization(patient=patient.id)
    )
    assert status == 412
    assert fhir.seen == []


def test_p03_what_a_client_is_known_not_to_offer_is_not_asked(
    settings: Settings, ehr: Ehr, fhir: FhirServer, patient: FixturePatient, tmp_path: Path
) -> None:
    gaps = 'anonymous_fhir = true\naccepted_gaps = ["appointments"]'
    client = client_for(settings, write_clients(tmp_path, ehr, entry(fhir, gaps)))
    _, body = answer(client, ehr, patient, fhirServer=fhir.base)
    sources = {source["name"]: source["state"] for source in body["extension"][EXTENSION]["sources"]}
    assert sources["appointments"] == "not-offered"
    assert fhir.asked("Appointment") == []


def test_p09_searches_are_posted_where_that_is_agreed(
    settings: Settings, ehr: Ehr, fhir: FhirServer, patient: FixturePatient, tmp_path: Path
) -> None:
    """The same card; no patient's id stands in the address of any search."""
    agreed = entry(fhir, "anonymous_fhir = true").replace(" }]", ", post_search = true }]")
    client = client_for(settings, write_clients(tmp_path, ehr, agreed))
    status, body = answer(client, ehr, patient, fhirServer=fhir.base)
    assert (status, body["cards"][0]["indicator"]) == (200, "warning")
    assert [seen.target for seen in fhir.seen if patient.id in seen.target] == [f"/fhir/Patient/{patient.id}"]


@pytest.mark.parametrize("spelling", ["http://inner.hospital.example/r4", "BASE/", "upper case"])
def test_p08_another_spelling_of_the_base_is_rewritten_before_sending(
    settings: Settings, ehr: Ehr, fhir: FhirServer, patient: FixturePatient, tmp_path: Path, spelling: str
) -> None:
    """In ``fhirServer`` and in links; the name of the alias is never looked up."""
    listed = entry(fhir, "anonymous_fhir = true").replace(" }]", ', aliases = ["http://inner.hospital.example/r4"] }]')
    client = client_for(settings, write_clients(tmp_path, ehr, listed))
    meant = {"BASE/": f"{fhir.base}/", "upper case": fhir.base.replace("http", "HTTP")}.get(spelling, spelling)
    fhir.faults["Condition"] = Fault(link="http://inner.hospital.example/r4/Condition?patient=other", times=1)
    status, body = answer(client, ehr, patient, fhirServer=meant)
    assert (status, body["cards"][0]["indicator"]) == (200, "warning")
    assert {source["state"] for source in body["extension"][EXTENSION]["sources"]} == {"complete"}
