"""The shape shipped for exposure, docker/nginx.conf before the service: slow senders, sizes, smuggling (P-32, T34)."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.ehr import PUBLIC_URL, Ehr, write_clients
from tests.exposed.processes import NGINX, NO_NGINX, Running, behind_nginx, post, serving
from tests.http.stand_in import CALL, a_call

NGINX_REQUIRED = os.environ.get("ATROPHY_CDS_REQUIRE_NGINX") == "1"
BODY = json.dumps(a_call()).encode()
SENDERS = 200
HEAD = f"POST {CALL} HTTP/1.1\r\nHost: cds.example\r\nContent-Type: application/json\r\n".encode()


@pytest.fixture(scope="module")
def ehr() -> Ehr:
    return Ehr()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, ehr: Ehr) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("service")
    clients = write_clients(folder, ehr, "calls_per_minute = 100000")
    environment = {"ATROPHY_CDS_CLIENTS_FILE": str(clients), "ATROPHY_CDS_PUBLIC_URL": PUBLIC_URL}
    with serving(folder, "--behind-proxy", "--workers", "2", **environment) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, service: Running) -> Iterator[str]:
    if NGINX is None:
        assert not NGINX_REQUIRED, NO_NGINX
        pytest.skip(NO_NGINX)
    with behind_nginx(tmp_path_factory.mktemp("proxy"), service.port) as url:
        yield url


def connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), 10)


def exchange(url: str, request: bytes) -> bytes:
    """All that comes back for some bytes."""
    with connected(url) as connection:
        connection.sendall(request)
        connection.settimeout(3)
        answer = b""
        with suppress(TimeoutError, ConnectionResetError):
            while piece := connection.recv(65_536):
                answer += piece
        return answer


def test_a_call_goes_through(proxy: str, ehr: Ehr) -> None:
    assert post(proxy + CALL, BODY, **ehr.bearer(CALL)) == 200
    assert post(proxy + CALL, BODY) == 401


def silent() -> Generator[bytes, None, None]:
    while True:
        yield b""


def a_header_byte_at_a_time() -> Generator[bytes, None, None]:
    for byte in HEAD + b"X-Slow: " + b"a" * 10_000:
        yield bytes([byte])


def a_body_byte_at_a_time() -> Generator[bytes, None, None]:
    yield HEAD + b"Content-Length: 100000\r\n\r\n"
    while True:
        yield b" "


@pytest.mark.parametrize("kind", [silent, a_header_byte_at_a_time, a_body_byte_at_a_time])
def test_p32_200_slow_senders_keep_nobody_waiting(proxy: str, ehr: Ehr, kind: type) -> None:
    """While they sit there every healthy call is answered; how fast is measured by ``benchmarks.slow_senders``."""
    with ExitStack() as open_ones:
        senders = [(open_ones.enter_context(connected(proxy)), kind()) for _ in range(SENDERS)]
        give_up = time.monotonic() + 3
        answered = 0
        while time.monotonic() < give_up:
            for connection, bytes_of in senders:
                with suppress(OSError):
                    connection.sendall(next(bytes_of))
            assert post(proxy + CALL, BODY, **ehr.bearer(CALL)) == 200
            answered += 1
        assert answered >= 10


@pytest.mark.parametrize("kind", [a_header_byte_at_a_time, a_body_byte_at_a_time])
def test_t16_without_the_proxy_they_keep_everybody_waiting(service: Running, ehr: Ehr, kind: type) -> None:
    """The same service with its protection swapped out (P-35): so the test above can fail."""
    with ExitStack() as open_ones:
        senders = [(open_ones.enter_context(connected(service.url)), kind()) for _ in range(SENDERS)]

        def call_among_them() -> None:
            for _ in range(10):  # until every thread of the service has one of them
                for sender, pieces in senders:
                    with suppress(OSError):
                        sender.sendall(next(pieces))
                post(service.url + CALL, BODY, timeout=2, **ehr.bearer(CALL))

        with pytest.raises(TimeoutError):
            call_among_them()


@pytest.mark.parametrize(
    "request_line",
    [
        HEAD + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
        HEAD + b"Content-Length: 4\r\nContent-Length: 60\r\n\r\n1234GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
        HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"GET http://evil.example/cds-services HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ],
    ids=["CL.TE", "two lengths", "another coding", "blank before colon", "two hosts"],
)
def test_t34_a_request_that_two_parsers_read_in_two_ways_is_answered_once_and_not_well(
    proxy: str, request_line: bytes
) -> None:
    answer = exchange(proxy, request_line)
    statuses = [line.split()[1] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1")]
    assert len(statuses) <= 1
    assert all(status in (b"400", b"401", b"501") for status in statuses)


REFUSED = {
    "a body over the limit (T13)": (HEAD + b"Content-Length: 99999999\r\n\r\n", 413),
    "a header without end": (HEAD + b"X-Long: " + b"a" * 100_000 + b"\r\n\r\n", 400),
    "an address without end": (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "an unknown coding": (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    "a method of its own": (b"TRACE /cds-services HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "the page of refusals itself": (b"GET /refused-by-proxy HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    "another version": (b"GET /cds-services HTTP/7.7\r\nHost: a\r\n\r\n", 505),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_never_reaches_the_service_is_refused_as_an_operation_outcome(proxy: str, kind: str) -> None:
    """C62, T13, P-20: by the proxy, with the status that the service would give."""
    request, status = REFUSED[kind]
    head, _, body = exchange(proxy, request).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Cache-Control: no-store" in head
    assert json.loads(body)["resourceType"] == "OperationOutcome"


def test_the_proxy_says_when_the_service_is_gone(tmp_path: Path) -> None:
    """T23: 503 with an OperationOutcome, never something that looks like no advice."""
    if NGINX is None:
        pytest.skip(NO_NGINX)
    with behind_nginx(tmp_path, 1) as url:
        answer = exchange(url, HEAD + b"Content-Length: 2\r\n\r\n{}")
    assert b" 503 " in answer.split(b"\r\n")[0]
    assert b'"OperationOutcome"' in answer
