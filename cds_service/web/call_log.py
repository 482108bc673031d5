"""One line of JSON per call: who, which rules, how many, how long; never patient data, tokens or foreign text (T10)."""

from __future__ import annotations

import sys
import time

import structlog
from flask import Flask, Response, g, request

_EXTRAS = "log_extras"
_STARTED = "log_started"


def configure() -> None:
    """Log to stderr as JSON, in which no value can begin a line of its own or colour a terminal (T33)."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),  # as it is when a line is written
    )


def install(app: Flask) -> None:
    """Measure each call and write its line when it is answered, refused or failed. Files of the page write none."""
    log = structlog.get_logger("cds_service")

    @app.before_request
    def start() -> None:
        setattr(g, _STARTED, time.perf_counter())
        setattr(g, _EXTRAS, {})

    @app.after_request
    def write(response: Response) -> Response:
        if request.endpoint is not None and request.endpoint.endswith("static"):
            return response
        spent = (time.perf_counter() - g.get(_STARTED, time.perf_counter())) * 1000
        client = g.get("client")
        write_line = log.error if response.status_code >= 500 else log.info  # noqa: PLR2004 - HTTP's server errors
        write_line(
            "call",
            endpoint=request.endpoint,
            status=response.status_code,
            ms=round(spent, 2),
            client=client.id if client else None,
            **g.get(_EXTRAS, {}),
        )
        return response


def note(**values: object) -> None:
    """Add to the line of this call. Values are our own words, numbers and checked UUIDs."""
    g.get(_EXTRAS, {}).update(values)
