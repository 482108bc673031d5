"""Source x fault over real sockets: status, source state, cards and gap card, as ``outcomes.toml`` says (P-02 to P-10).

Every row is asked of both charts by the real service with a deadline of 0.4 seconds (P-42).
"""

from __future__ import annotations

import gzip
import json
import socket
import time
import tomllib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.fhir.reading.kinds import RESOURCES
from cds_service.settings import Settings
from tests.certificate import server_context, write_certificate
from tests.fhir_server import Fault, FhirServer, outcome

DEADLINE = 0.4
GRACE = 0.3  # P-42: plus 10 % or 300 ms, whichever is more
NOW = datetime.now(UTC)
ROWS = [
    (row["source"], fault, row)
    for row in tomllib.loads((Path(__file__).parent / "outcomes.toml").read_text())["outcome"]
    for fault in row["faults"]
]
IDS = [f"{source}-{fault}" for source, fault, _ in ROWS]
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


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    return client_with(tmp_path_factory.mktemp("faults"), DEADLINE)


def client_with(folder: Path, deadline: float) -> FlaskClient:
    settings = Settings(open=True, database_url=f"sqlite:///{folder}/cds.db", deadline_seconds=deadline)
    return create_app(settings, clock=lambda: NOW).test_client()


class Servers:
    """Makes FHIR servers with faults. ``elsewhere`` is one that nobody may ask."""

    def __init__(self, elsewhere: FhirServer, certificate: Path) -> None:
        self._elsewhere = elsewhere
        self._certificate = certificate

    @contextmanager
    def faulty(self, fault: str, source: str, chart: str) -> Iterator[str]:
        """The address of a server that holds the chart and has the fault."""
        if fault == "refused":
            with socket.socket() as taken:
                taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
                yield f"http://127.0.0.1:{taken.getsockname()[1]}/fhir"
        elif fault == "dns":
            yield "https://no-such-host.invalid/fhir"
        else:
            tls = server_context(self._certificate) if fault == "tls" else None
            with FhirServer(CHARTS[chart], tls=tls) as server:
                if fault != "tls":
                    server.faults["*"] = fault_named(fault, source, self._elsewhere)
                yield server.base


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    certificate = write_certificate(tmp_path_factory.mktemp("tls") / "server.pem")
    with FhirServer(CHARTS["carded"]) as elsewhere:
        yield Servers(elsewhere, certificate)
        assert elsewhere.seen == []


def fault_named(name: str, source: str, elsewhere: FhirServer) -> Fault:
    kind = RESOURCES[source].__name__  # type: ignore[index]  # the names of the file are those of the record
    other: Json = {"resourceType": kind, "id": "x1", "subject": {"reference": "Patient/p2"}}
    other |= {"id": "p2", "subject": None} if kind == "Patient" else {}
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": other}]}
    bomb = gzip.compress(b'{"resourceType":"Bundle","text":"' + b" " * 40_000_000 + b'"}')
    return {
        "401": Fault(status=401),
        "403": Fault(status=403),
        "404": Fault(status=404),
        "429": Fault(status=429, headers={"Retry-After": "60"}),
        "500": Fault(status=500),
        "html": Fault(body=b"<html><body>Sign in</body></html>", headers={"Content-Type": "text/html"}),
        "truncated": Fault(body=json.dumps(bundle).encode()[:70]),
        "slow-first-byte": Fault(delay=1.5),
        "slow-drip": Fault(drip="body"),
        "redirect": Fault(status=302, headers={"Location": f"{elsewhere.base}/{kind}?patient=p1"}),
        "endless-pages": Fault(link="endless"),
        "self-link": Fault(link="self"),
        "gzip-bomb": Fault(body=bomb, headers={"Content-Encoding": "gzip"}),
        "wrong-patient": Fault(body=json.dumps(other if kind == "Patient" else bundle).encode()),
        "operation-outcome": Fault(body=json.dumps(outcome("exception")).encode()),
    }[name]


def prefetch_without(source: str, chart: str) -> Json:
    """The chart as prefetch, whole, but for one source."""
    prefetch: Json = {}
    for name, kind in RESOURCES.items():
        found = [r for r in CHARTS[chart] if r["resourceType"] == kind.__name__]
        searchset = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in found]}
        prefetch[name] = found[0] if name == "patient" else searchset
    del prefetch[source]
    return prefetch


def call(client: FlaskClient, base: str, prefetch: Json) -> tuple[int, Json, float]:
    """Status, body and seconds of a call."""
    body = {
        "hook": "patient-view",
        "hookInstance": str(uuid.uuid4()),
        "context": {"userId": "Practitioner/u1", "patientId": "p1"},
        "fhirServer": base,
        "prefetch": prefetch,
    }
    started = time.monotonic()
    response = client.post("/cds-services/atrophy-risk", json=body, base_url="http://localhost")
    return response.status_code, response.get_json(), time.monotonic() - started


def cards(body: Json) -> list[str]:
    """Each card by its indicator; the one that names gaps as "gap"."""
    return [card["indicator"] if ASSESSMENT in card.get("extension", {}) else "gap" for card in body["cards"]]


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize(("source", "fault", "row"), ROWS, ids=IDS)
def test_a_source_that_cannot_be_read_as_it_should(
    client: FlaskClient, servers: Servers, chart: str, source: str, fault: str, row: Json
) -> None:
    with servers.faulty(fault, source, chart) as base:
        status, body, seconds = call(client, base, prefetch_without(source, chart))
    assert status == row.get("status", 200)
    assert seconds < DEADLINE + GRACE
    if status == 412:
        assert body["resourceType"] == "OperationOutcome"
        assert body["issue"][0]["code"] == "incomplete"
        return
    states = {s["name"]: s["state"] for s in body["extension"][EVALUATION]["sources"]}
    assert states[source] == row["state"]
    assert {state for name, state in states.items() if name != source} == {"complete"}
    assert cards(body) == row[chart]


def test_p42_one_row_at_the_default_deadline(servers: Servers, tmp_path: Path) -> None:
    client = client_with(tmp_path, 1.8)
    with servers.faulty("slow-drip", "observations", "carded") as base:
        status, body, seconds = call(client, base, prefetch_without("observations", "carded"))
    assert (status, cards(body)) == (200, ["warning", "gap"])
    assert 1.5 < seconds < 1.8 + GRACE


def test_p05_412_never_buries_a_critical_finding(client: FlaskClient, servers: Servers) -> None:
    """The Conditions cannot be read, but CK is 48 times its limit: the emergency is said, and what was not read."""
    prefetch = prefetch_without("conditions", "plain")
    prefetch["observations"]["entry"][0]["resource"] |= {
        "code": {"coding": [{"system": "http://loinc.org", "code": "2157-6"}]},
        "effectiveDateTime": day(1),
        "valueQuantity": {"value": 9600, "unit": "U/L", "system": "http://unitsofmeasure.org", "code": "U/L"},
        "referenceRange": [{"high": {"value": 200, "unit": "U/L"}}],
    }
    with servers.faulty("500", "conditions", "plain") as base:
        status, body, _ = call(client, base, prefetch)
    assert status == 200
    assert cards(body) == ["critical", "gap"]


def test_every_source_has_its_rows() -> None:
    """Patient, Conditions and MedicationRequests meet every fault, the others four each."""
    met = {source: {fault for name, fault, _ in ROWS if name == source} for source in RESOURCES}
    every = met.pop("patient")
    assert len(every) == 18
    assert met.pop("conditions") == met.pop("medicationRequests") == every
    assert {source: len(faults) for source, faults in met.items()} == dict.fromkeys(met, 4)
