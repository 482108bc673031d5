"""P-03, P-10: what a server says of itself is learned in the background and spares requests, never hides anything."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cds_service.fhir import capability as module
from cds_service.fhir.capability import Capabilities, read_capability
from cds_service.fhir.client import FhirClient
from tests.fhir_server import Fault, FhirServer

STATEMENT: dict[str, Any] = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "rest": [
        {
            "mode": "server",
            "resource": [
                {"type": "Patient"},
                {"type": "Procedure", "searchParam": [{"name": "patient"}, {"name": "date"}]},
                {"type": "Observation", "searchParam": [{"name": "patient"}, {"name": "code"}]},
            ],
        },
        {"mode": "client", "resource": [{"type": "CarePlan"}]},
    ],
}


def until(holds: Callable[[], object]) -> None:
    """Wait for what happens in the background, five seconds at most."""
    give_up = time.monotonic() + 5
    while not holds() and time.monotonic() < give_up:
        time.sleep(0.01)
    assert holds()


@pytest.fixture
def server() -> Iterator[FhirServer]:
    with FhirServer() as running:
        running.faults["metadata"] = Fault(body=json.dumps(STATEMENT).encode())
        yield running


@pytest.fixture
def capabilities() -> Iterator[Capabilities]:
    with FhirClient() as client:
        yield Capabilities(client)


def test_types_and_parameters_are_read() -> None:
    capability = read_capability(json.dumps(STATEMENT).encode())
    assert capability is not None
    assert capability.fhir_version == "4.0.1"
    assert capability.offers("Procedure")
    assert not capability.offers("CarePlan")  # what it can as a client is not what it offers
    assert capability.knows("Procedure", "Procedure?patient=p1&date=ge2020-01-01&_count=1000")
    assert not capability.knows("Observation", "Observation?patient=p1&code=1&date=ge2020-01-01&_sort=-date")
    assert capability.knows("Patient", "Patient?patient=p1")  # no parameter written: that says nothing


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"<CapabilityStatement/>",
        b"\xff",
        b"[" * 100_000,
        b'{"resourceType": "OperationOutcome"}',
        b'{"resourceType": "CapabilityStatement"}',
        b'{"resourceType": "CapabilityStatement", "rest": []}',
        b'{"resourceType": "CapabilityStatement", "rest": [{"resource": null}]}',
        b'{"resourceType": "CapabilityStatement", "rest": [{"resource": [{"type": null}]}]}',
        b'{"resourceType": "CapabilityStatement", "rest": {"mode": "server"}}',
    ],
    ids=lambda body: repr(body[-40:]),
)
def test_what_names_no_type_proves_nothing(body: bytes) -> None:
    assert read_capability(body) is None


def test_it_is_learned_in_the_background_and_once(capabilities: Capabilities, server: FhirServer) -> None:
    assert capabilities.of(server.base) is None  # nobody waits for it
    until(lambda: capabilities.of(server.base))
    for _ in range(20):
        capabilities.of(server.base)
    assert len(server.asked("metadata")) == 1


def test_it_is_asked_without_the_token_of_a_call(capabilities: Capabilities, server: FhirServer) -> None:
    capabilities.of(server.base)
    until(lambda: server.asked("metadata"))
    assert "Authorization" not in server.asked("metadata")[0].headers


def test_a_server_that_says_nothing_is_asked_once(capabilities: Capabilities, server: FhirServer) -> None:
    server.faults["metadata"] = Fault(status=403)
    for _ in range(20):
        assert capabilities.of(server.base) is None
    until(lambda: server.asked("metadata"))
    assert len(server.asked("metadata")) == 1


def test_after_an_hour_it_is_learned_anew(
    capabilities: Capabilities, server: FhirServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    capabilities.of(server.base)
    until(lambda: capabilities.of(server.base))
    monkeypatch.setattr(module, "KEPT_SECONDS", 0.0)
    assert capabilities.of(server.base) is not None  # the old knowledge serves until the new is there
    until(lambda: len(server.asked("metadata")) > 1)


def test_what_can_no_longer_be_learned_is_forgotten(
    capabilities: Capabilities, server: FhirServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A type that was absent once must not be absent for ever."""
    capabilities.of(server.base)
    until(lambda: capabilities.of(server.base))
    server.faults["metadata"] = Fault(status=403)
    monkeypatch.setattr(module, "KEPT_SECONDS", 0.0)
    until(lambda: capabilities.of(server.base) is None)


def test_a_server_that_was_too_slow_is_asked_again_soon(
    capabilities: Capabilities, server: FhirServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real HAPI that has just started takes two seconds for its first answer."""
    monkeypatch.setattr(module, "READ_SECONDS", 0.1)
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.0)
    server.faults["metadata"] = Fault(body=json.dumps(STATEMENT).encode(), delay=0.5, times=1)
    assert capabilities.of(server.base) is None
    until(lambda: server.asked("metadata"))
    server.faults["metadata"] = Fault(body=json.dumps(STATEMENT).encode())
    until(lambda: capabilities.of(server.base))


def test_no_more_servers_are_remembered_than_a_bound(
    capabilities: Capabilities, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SERVERS_KEPT", 2)
    for number in range(3):
        capabilities.note_refused(f"http://127.0.0.1/{number}", "Procedure")
    remembered = [capabilities.was_refused(f"http://127.0.0.1/{number}", "Procedure") for number in (2, 1)]
    assert remembered == [True, True]
    assert not capabilities.was_refused("http://127.0.0.1/0", "Procedure")


def test_a_refused_parameter_is_remembered_for_its_type_and_server(
    capabilities: Capabilities, server: FhirServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    capabilities.note_refused(server.base, "Procedure")
    assert capabilities.was_refused(server.base, "Procedure")
    assert not capabilities.was_refused(server.base, "Observation")
    assert not capabilities.was_refused(f"{server.base}/other", "Procedure")
    monkeypatch.setattr(module, "KEPT_SECONDS", 0.0)
    assert not capabilities.was_refused(server.base, "Procedure")
