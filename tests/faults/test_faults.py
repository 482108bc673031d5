"""Source x fault over real sockets: status, source state, cards and gap card, as ``outcomes.toml`` says (P-02 to P-10).

Every row is asked of both charts by the real service with a deadline of 0.4 seconds, the rows of one source at the same
time (P-42).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from flask.testing import FlaskClient

from cds_service.fhir.reading.kinds import RESOURCES
from tests.certificate import write_certificate
from tests.faults.calls import CHARTS, DEADLINE, EVALUATION, GRACE, Json, call, cards, client_with, prefetch_without
from tests.faults.servers import FaultyServers, bomb
from tests.fhir_server import FhirServer

AT_ONCE = 4
OUTCOMES = tomllib.loads((Path(__file__).parent / "outcomes.toml").read_text())["outcome"]
ROWS: dict[str, dict[str, Json]] = {
    source: {fault: row for row in OUTCOMES if row["source"] == source for fault in row["faults"]}
    for source in RESOURCES
}


class Came(NamedTuple):
    """What came out of one call: for a 412 its issue code in place of the state."""

    status: int
    state: str
    cards: list[str]
    in_time: bool = True


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    client = client_with(tmp_path_factory.mktemp("faults"), DEADLINE)
    call(client, None, prefetch_without("carePlans", "carded"))  # what the first call of a process costs is not meant
    return client


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyServers]:
    certificate = write_certificate(tmp_path_factory.mktemp("tls") / "server.pem")
    bomb()  # made once, not while others are timed
    with FhirServer(CHARTS["carded"]) as elsewhere:
        yield FaultyServers(elsewhere, certificate)
        assert elsewhere.seen == []


def expected(row: Json, chart: str) -> Came:
    return Came(row["status"], "incomplete", []) if "status" in row else Came(200, row["state"], row[chart])


def came(status: int, body: Json, seconds: float, source: str) -> Came:
    in_time = seconds < DEADLINE + GRACE
    if status != 200:
        assert body["resourceType"] == "OperationOutcome"
        return Came(status, body["issue"][0]["code"], [], in_time)
    states = {s["name"]: s["state"] for s in body["extension"][EVALUATION]["sources"]}
    state = states.pop(source)
    assert set(states.values()) == {"complete"}
    return Came(status, state, cards(body), in_time)


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize("source", ROWS)
def test_a_source_that_cannot_be_read_as_it_should(
    client: FlaskClient, servers: FaultyServers, chart: str, source: str
) -> None:
    prefetch = prefetch_without(source, chart)

    def ask(fault: str) -> Came:
        with servers.faulty(fault, source, chart) as base:
            return came(*call(client, base, prefetch), source)

    faults = ROWS[source]
    with ThreadPoolExecutor(AT_ONCE) as callers:
        found = dict(zip(faults, callers.map(ask, faults), strict=True))
    assert found == {fault: expected(row, chart) for fault, row in faults.items()}


def test_p42_one_row_at_the_default_deadline(servers: FaultyServers, tmp_path: Path) -> None:
    client = client_with(tmp_path, 1.8)
    with servers.faulty("slow-drip", "observations", "carded") as base:
        status, body, seconds = call(client, base, prefetch_without("observations", "carded"))
    assert (status, cards(body)) == (200, ["warning", "gap"])
    assert 1.5 < seconds < 1.8 + GRACE


def test_every_source_has_its_rows() -> None:
    """Patient, Conditions and MedicationRequests meet every fault, the others four each."""
    met = {source: set(faults) for source, faults in ROWS.items()}
    every = met.pop("patient")
    assert len(every) == 18
    assert met.pop("conditions") == met.pop("medicationRequests") == every
    assert {source: len(faults) for source, faults in met.items()} == dict.fromkeys(met, 4)
