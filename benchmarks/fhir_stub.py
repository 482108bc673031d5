"""A FHIR server that knows one patient and answers everything after the same pause, for measuring how we fetch.

``python -m benchmarks.fhir_stub --port 8002``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from benchmarks.payload import PATIENT, hook_request
from benchmarks.servers import HOST
from cds_service.settings import Settings

PAUSE_SECONDS = 0.05
_SIZE = 100
_NOTHING = b'{"resourceType":"Bundle","type":"searchset","total":0}'


def bodies(size: int, today: date) -> Mapping[str, bytes]:
    """The answer to a read or a search, by resource type: the values of the benchmark's prefetch."""
    prefetch: dict[str, Any] = msgspec.json.decode(hook_request(Settings().rules_dir, size, today))["prefetch"]
    found = {"Patient": msgspec.json.encode(prefetch.pop(PATIENT))}
    for bundle in filter(None, prefetch.values()):
        found[bundle["entry"][0]["resource"]["resourceType"]] = msgspec.json.encode(bundle)
    return found


class _Stub(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, answers: Mapping[str, bytes]) -> None:
        self.answers = answers
        super().__init__((HOST, port), _Request)


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together
    server: _Stub

    def do_GET(self) -> None:
        """Any path under the base: the first word is the resource type."""
        body = self.server.answers.get(self.path.strip("/").split("?")[0].split("/")[0], _NOTHING)
        time.sleep(PAUSE_SECONDS)
        self.send_response(200)
        self.send_header("Content-Type", "application/fhir+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """No log: it would be measured."""


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    _Stub(options.port, bodies(_SIZE, Settings().today())).serve_forever()


if __name__ == "__main__":
    main()
