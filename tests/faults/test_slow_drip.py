"""T16: after 200 calls to servers that send a byte at a time, threads and sockets are back where they were."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from cds_service.fhir.in_flight import IN_FLIGHT_PER_CALL
from tests.faults.calls import CHARTS, call, client_with, prefetch_without
from tests.fhir_server import Fault, FhirServer

FDS = Path("/proc/self/fd")
WORKERS = 8 * IN_FLIGHT_PER_CALL  # of one service's pool
SERVERS, CALLS_EACH = 25, 8  # each server rests after ten failures in a row (P-10), so that all 200 are read from


def sockets() -> int:
    """How many this process has open."""
    found = 0
    for fd in FDS.iterdir():
        try:
            found += fd.readlink().name.startswith("socket:")
        except OSError:
            continue  # the folder that is being listed
    return found


def readers() -> set[threading.Thread]:
    """The threads that read for a service of this process, other tests' services too."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("fhir")}


@pytest.mark.skipif(not FDS.is_dir(), reason="this system has no /proc")
def test_t16_nothing_is_left_of_200_slow_drips(tmp_path: Path) -> None:
    of_others = readers()
    client = client_with(tmp_path, 0.1)
    prefetch = prefetch_without("observations", "carded")
    with ExitStack() as running:
        servers = [running.enter_context(FhirServer(CHARTS["carded"])) for _ in range(SERVERS)]
        call(client, servers[0].base, prefetch)  # what is kept for the next call is there now
        at_rest = sockets()
        for server in servers:
            server.faults["*"] = Fault(drip="body")
        with ThreadPoolExecutor(8) as callers:
            bases = [server.base for server in servers for _ in range(CALLS_EACH)]
            answers = list(callers.map(lambda base: call(client, base, prefetch), bases))
        assert {status for status, _, _ in answers} == {200}
        assert sum(len(server.seen) for server in servers) > 200
        give_up = time.monotonic() + 5
        while sockets() > at_rest and time.monotonic() < give_up:
            time.sleep(0.05)
        # A connection that broke off is never kept, so no more are open than before.
        assert sockets() <= at_rest
        # The pool keeps its threads for the next call, and never has more than it may.
        assert len(readers() - of_others) <= WORKERS
