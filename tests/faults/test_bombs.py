"""T14: answers that grow when inflated cost bounded memory, however many come at once."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from flask.testing import FlaskClient

from cds_service.fhir.client import MAX_BYTES
from cds_service.fhir.in_flight import IN_FLIGHT_PER_CALL
from tests.faults.calls import call, states
from tests.faults.calls import prefetch_without as without
from tests.faults.servers import bomb
from tests.fhir_server import Fault, FhirServer

PACKED = {
    "gzip": bomb,
    "deflate": lambda: zlib.compress(gzip.decompress(bomb())),
    "gzip, gzip": lambda: gzip.compress(bomb()),
}
CAME = ("patient", "conditions")


@pytest.mark.parametrize("encoding", PACKED)
def test_t14_a_chart_of_bombs_is_not_inflated(unhurried: FlaskClient, server: FhirServer, encoding: str) -> None:
    """Twelve searches of 40 MB each in 40 kB and less; six are read at once (P-10), none further than its cap."""
    prefetch = {name: value for name, value in without("carePlans", "carded").items() if name in CAME}
    server.faults["*"] = Fault(body=PACKED[encoding](), headers={"Content-Encoding": encoding})
    tracemalloc.start()
    try:
        status, body, _ = call(unhurried, server.base, prefetch)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert status == 200
    assert {state for name, state in states(body).items() if name not in CAME} == {"failed"}
    assert peak < IN_FLIGHT_PER_CALL * MAX_BYTES * 1.25
