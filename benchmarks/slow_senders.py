"""What 200 slow senders of each kind cost healthy calls behind the proxy that is shipped (P-32)."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.ehr import PUBLIC_URL, Ehr, write_clients
from tests.exposed.processes import NGINX, NO_NGINX, behind_nginx, post, serving
from tests.exposed.test_behind_proxy import (
    SENDERS,
    a_body_byte_at_a_time,
    a_header_byte_at_a_time,
    connected,
    silent,
)
from tests.http.stand_in import CALL, a_call

GOAL = 1.5
CALLS = 300
BODY = json.dumps(a_call()).encode()


def p95_ms(url: str, ehr: Ehr) -> float:
    """Of healthy calls, one after the other, each with its own token."""
    spent: list[float] = []
    for _ in range(CALLS):
        headers = ehr.bearer(CALL)
        started = time.perf_counter()
        assert post(url + CALL, BODY, **headers) == 200
        spent.append((time.perf_counter() - started) * 1000)
    return statistics.quantiles(spent, n=20)[-1]


@contextmanager
def besieged(url: str, kind: Callable[[], Generator[bytes, None, None]]) -> Generator[None, None, None]:
    """200 connections, each of which sends one byte a second while the block runs; a broken one is opened anew."""
    stop = threading.Event()

    def besiege() -> None:
        with ExitStack() as open_ones:
            senders = [(open_ones.enter_context(connected(url)), kind()) for _ in range(SENDERS)]
            while not stop.wait(1):
                for at, (connection, bytes_of) in enumerate(senders):
                    try:
                        connection.sendall(next(bytes_of))
                    except OSError:
                        with suppress(OSError):
                            senders[at] = (open_ones.enter_context(connected(url)), kind())

    thread = threading.Thread(target=besiege)
    thread.start()
    time.sleep(1.5)
    try:
        yield
    finally:
        stop.set()
        thread.join()


def main() -> None:
    """Print the table. Ends with 1 when a ratio is above 1.5."""
    if NGINX is None:
        sys.exit(NO_NGINX)
    ehr = Ehr()
    worst = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clients = write_clients(folder, ehr, "calls_per_minute = 1000000")
        environment = {"ATROPHY_CDS_CLIENTS_FILE": str(clients), "ATROPHY_CDS_PUBLIC_URL": PUBLIC_URL}
        with (
            serving(folder, "--behind-proxy", "--workers", "2", **environment) as running,
            behind_nginx(folder, running.port) as url,
        ):
            p95_ms(url, ehr)
            for kind in (silent, a_header_byte_at_a_time, a_body_byte_at_a_time):
                quiet = p95_ms(url, ehr)
                with besieged(url, kind):
                    loud = p95_ms(url, ehr)
                worst = max(worst, loud / quiet)
                said = f"{quiet:6.2f} ms, with {SENDERS} senders {loud:6.2f} ms: {loud / quiet:.2f}"
                print(f"{kind.__name__:26} p95 quiet {said}")
    sys.exit(worst > GOAL)


if __name__ == "__main__":
    main()
