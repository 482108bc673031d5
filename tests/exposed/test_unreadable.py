"""C62, T33, T34, T35: what gunicorn itself cannot read is refused in our form, and logged in our words only."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.exposed.processes import Running, serving
from tests.http.stand_in import CALL

CANARY = "canary4711"
HEAD = f"POST {CALL} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
GET = "GET /cds-services HTTP/1.1\r\nHost: localhost\r\n"
UNREADABLE = {
    "a request line without end": (f"GET /{CANARY * 1000} HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    "a header without end": (f"{GET}X-Long: {CANARY * 2000}\r\n\r\n", 431),
    "headers without end": (GET + f"X: {CANARY}\r\n" * 200 + "\r\n", 431),
    "no HTTP": (f"{CANARY}\r\n\r\n", 400),
    "a version that is none": (f"GET /{CANARY} HTTP/7.7\r\n\r\n", 400),
    "a blank before the colon": (f"{GET}{CANARY} : x\r\n\r\n", 400),
    "a folded header": (f"{GET}X-Folded: a\r\n {CANARY}\r\n\r\n", 400),
    "a NUL in a header": (f"{GET}X-Nul: {CANARY}\0\r\n\r\n", 400),
    "two lengths": (f"{HEAD}Content-Length: 4\r\nContent-Length: 60\r\n\r\n1234{GET}\r\n", 400),
    "a length and chunks": (f"{HEAD}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{GET}\r\n", 400),
    "an unknown coding": (f"{HEAD}Transfer-Encoding: x{CANARY}\r\n\r\n0\r\n\r\n", 501),
    "an expectation": (f"{HEAD}Expect: {CANARY}\r\nContent-Length: 2\r\n\r\n{{}}", 417),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("unreadable")


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Running]:
    with serving(folder, "--open") as running:
        yield running


def exchange(running: Running, request: str) -> bytes:
    with socket.create_connection(("127.0.0.1", running.port), 5) as connection:
        connection.settimeout(5)
        answer = b""
        with suppress(TimeoutError, ConnectionResetError):
            connection.sendall(request.encode())
            while piece := connection.recv(65_536):
                answer += piece
        return answer


@pytest.mark.parametrize("kind", UNREADABLE)
def test_it_is_refused_once_as_an_operation_outcome(running: Running, folder: Path, kind: str) -> None:
    request, status = UNREADABLE[kind]
    answer = exchange(running, request)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert answer.count(b"HTTP/1.1 ") == 1  # what stands behind it is not taken for a second request
    assert b"Content-Type: application/json" in head
    assert b"Cache-Control: no-store" in head
    assert json.loads(body)["resourceType"] == "OperationOutcome"
    assert CANARY.encode() not in answer


def test_the_log_says_so_in_its_own_words(running: Running, folder: Path) -> None:
    """A line each, JSON like every other, with nothing of what was sent."""
    for request, _status in UNREADABLE.values():
        exchange(running, request)
    logged = (folder / f"serve-{running.port}.log").read_text()
    lines = [json.loads(line) for line in logged.splitlines() if line.startswith("{")]
    refused = [line["status"] for line in lines if line["event"] == "call"]
    assert refused[-len(UNREADABLE) :] == [status for _request, status in UNREADABLE.values()]
    assert CANARY not in logged
    assert "Invalid" not in logged
