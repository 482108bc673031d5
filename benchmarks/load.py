"""A CDS Client that costs little: keep-alive connections that each send the next call when the last is answered."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.payload import for_patient
from benchmarks.servers import HOST

PATH = "/cds-services/atrophy-risk"
_TIMEOUT_SECONDS = 120
_HEADER_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
_PATIENTS = itertools.count(1)


class WrongAnswer(Exception):
    """An answer that is not 200, has no length, or breaks off."""


class Load(NamedTuple):
    """What one load saw: seconds per call, seconds in all, and the body of one answer."""

    latencies: list[float]
    seconds: float
    answer: bytes


def run_load(port: int, body: bytes, clients: int, seconds: float, at_least: int = 1) -> Load:
    """Keep ``clients`` connections busy for ``seconds``, and for ``at_least`` calls on each; each for a new patient."""
    message = _message(port, body)
    until = time.perf_counter() + seconds
    connections = [
        _Client(port, message, lambda done: done >= at_least and time.perf_counter() >= until) for _ in range(clients)
    ]
    started = time.perf_counter()
    for client in connections:
        client.start()
    for client in connections:
        client.join()
    spent = time.perf_counter() - started
    failed = next((client.failure for client in connections if client.failure), None)
    if failed is not None:
        raise failed
    return Load([taken for client in connections for taken in client.latencies], spent, connections[0].answer)


def _message(port: int, body: bytes) -> bytes:
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: {HOST}:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Client(threading.Thread):
    """One connection. Sending and receiving release the interpreter, so few clients do not wait for each other."""

    def __init__(self, port: int, message: bytes, is_done: Callable[[int], bool]) -> None:
        super().__init__(daemon=True)
        self.latencies: list[float] = []
        self.answer = b""
        self.failure: Exception | None = None
        self._address = (HOST, port)
        self._message = message
        self._is_done = is_done

    def run(self) -> None:
        try:
            with socket.create_connection(self._address, _TIMEOUT_SECONDS) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while not self._is_done(len(self.latencies)):
                    message = for_patient(self._message, next(_PATIENTS))
                    began = time.perf_counter()
                    connection.sendall(message)
                    self.answer = _receive(connection)
                    self.latencies.append(time.perf_counter() - began)
        except (OSError, WrongAnswer) as error:
            self.failure = error


def _receive(connection: socket.socket) -> bytes:
    """The body of one answer. Only answers with a Content-Length are understood."""
    received = bytearray()
    while (end := received.find(_HEADER_END)) < 0:
        received += _some(connection)
    head = bytes(received[: end + 2])
    if not head.startswith(b"HTTP/1.1 200 "):
        raise WrongAnswer(head.split(b"\r\n", 1)[0].decode("ascii", "replace"))
    at = head.lower().find(_LENGTH)
    if at < 0:
        raise WrongAnswer("The answer has no Content-Length.")
    at += len(_LENGTH)
    whole = end + len(_HEADER_END) + int(head[at : head.index(b"\r\n", at)])
    while len(received) < whole:
        received += _some(connection)
    return bytes(received[end + len(_HEADER_END) : whole])


def _some(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise WrongAnswer("The server closed the connection.")
    return received
