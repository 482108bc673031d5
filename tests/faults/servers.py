"""FHIR servers with a fault."""

from __future__ import annotations

import functools
import gzip
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cds_service.fhir.reading.kinds import RESOURCES
from tests.certificate import server_context
from tests.faults.calls import CHARTS, Json, searchset
from tests.fhir_server import Fault, FhirServer, outcome


class FaultyServers:
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


@functools.cache
def bomb() -> bytes:
    """40 MB in 40 kB."""
    return gzip.compress(b'{"resourceType":"Bundle","text":"' + b" " * 40_000_000 + b'"}')


def fault_named(name: str, source: str, elsewhere: FhirServer) -> Fault:
    """The fault of the outcomes file for requests of one source."""
    kind = RESOURCES[source].__name__  # type: ignore[index]  # the names of the file are those of the record
    other: Json = {"resourceType": kind, "id": "x1", "subject": {"reference": "Patient/p2"}}
    other |= {"id": "p2", "subject": None} if kind == "Patient" else {}
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": other}]}
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
        "gzip-bomb": Fault(body=bomb(), headers={"Content-Encoding": "gzip"}),
        "wrong-patient": Fault(body=json.dumps(other if kind == "Patient" else bundle).encode()),
        "operation-outcome": Fault(body=json.dumps(outcome("exception")).encode()),
    }[name]


def fault_for(source: str, fault: Fault) -> dict[str, Fault]:
    return {RESOURCES[source].__name__: fault}  # type: ignore[index]  # the keys are the names of the record


def bundle_bytes(*resources: Json) -> bytes:
    return json.dumps(searchset(*resources)).encode()
