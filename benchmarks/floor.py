"""What nobody can be faster than for long: WSGI apps without framework, FHIR model, rule or store.

``python -m benchmarks.floor raw --port 8001``: on the same gunicorn, with the same settings, as the service.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import orjson

from cds_service.cli.serve import ServeOptions, ThreadedServer

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_CARD = {
    "summary": "A card that is always the same",
    "indicator": "info",
    "detail": "It stands for an answer that costs nothing to make.",
    "source": {"label": "Benchmark"},
}
_TWO_CARDS = msgspec.json.encode({"cards": [_CARD, _CARD]})
_NO_CARDS = b'{"cards":[]}'


def null(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Reads the body and nothing else: what the transport costs."""
    _body(environ)
    return _answer(_NO_CARDS, start_response)


def raw(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """THE FLOOR: the body as Python objects by the fastest general JSON parser, and two fixed cards."""
    request = orjson.loads(_body(environ))
    assert request["hook"] == "patient-view"
    return _answer(_TWO_CARDS, start_response)


def _body(environ: dict[str, Any]) -> bytes:
    body: bytes = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    return body


def _answer(body: bytes, start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


APPS: dict[str, App] = {"null": null, "raw": raw}


def main() -> None:
    """Serve one of the apps on this machine until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("app", choices=sorted(APPS))
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    app: Any = APPS[options.app]
    ThreadedServer(lambda: app, f"127.0.0.1:{options.port}", ServeOptions()).run()


if __name__ == "__main__":
    main()
