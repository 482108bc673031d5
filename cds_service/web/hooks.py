"""The CDS Hooks endpoints: discovery, the service call and feedback (C1, C6, C15, C42, C64)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from flask import Blueprint, Response, g, request
from gunicorn.http.errors import ParseException

from cds_service.cards.explanation import CardExplanation
from cds_service.cds_hooks.discovery import SERVICE_ID
from cds_service.cds_hooks.feedback import MAX_BYTES, FeedbackItem, parse_feedback
from cds_service.cds_hooks.request import HookRequest, parse_hook_request
from cds_service.errors import BadRequest, TooLarge, WrongContentType
from cds_service.trust import CdsClient
from cds_service.web import call_log

_JSON = "application/json"
_TOO_LARGE = "The body is larger than this service accepts."


class HookAnswer(Protocol):
    """What came of one call. ``timings`` are pairs of stage and milliseconds; ``log`` holds no patient data."""

    @property
    def body(self) -> bytes: ...
    @property
    def timings(self) -> Sequence[tuple[str, float]]: ...
    @property
    def log(self) -> Mapping[str, object]: ...


class CdsService(Protocol):
    """What the endpoints need of the service. Its refusals are the errors of ``errors.RequestRefused``."""

    def discovery(self, client: CdsClient) -> bytes:
        """The discovery document as JSON."""

    def call(self, client: CdsClient, request: HookRequest) -> HookAnswer:
        """Evaluate one patient."""

    def feedback(self, client: CdsClient, items: tuple[FeedbackItem, ...]) -> Mapping[str, int] | None:
        """Take what became of cards; counters for the log, if it likes."""

    def explain(self, client: CdsClient, card: str, request: HookRequest | None = None) -> CardExplanation:
        """Why a card was shown; with a request, also the facts of the chart that it brings."""


def hooks_blueprint(service: CdsService, max_body_bytes: int, clock: Callable[[], datetime]) -> Blueprint:
    """The three endpoints of one service. Its name is part of the paths, so an unknown one is an unknown path.

    The paths with a double slash are the HL7 sandbox's, when its user typed the discovery URL with a slash at the end.
    """
    hooks = Blueprint("hooks", __name__)

    def discovery() -> Response:
        return Response(service.discovery(g.client), mimetype=_JSON)

    def call() -> Response:
        started = time.perf_counter()
        hook_request = parse_hook_request(json_body(most_bytes(max_body_bytes)))
        read_ms = (time.perf_counter() - started) * 1000
        call_log.note(hook_instance=hook_request.hook_instance)
        answer = service.call(g.client, hook_request)
        timings = [("read", read_ms), *answer.timings]
        call_log.note(stages={name: round(spent, 2) for name, spent in timings}, **answer.log)
        total_ms = (time.perf_counter() - started) * 1000
        headers = {"Server-Timing": _server_timing([*timings, ("total", total_ms)])}
        return Response(answer.body, headers=headers, mimetype=_JSON)

    def feedback() -> Response:
        items = parse_feedback(json_body(min(max_body_bytes, MAX_BYTES)), clock())
        counts = service.feedback(g.client, items)
        call_log.note(items=len(items), **(counts or {}))
        answer = Response(status=200)
        del answer.headers["Content-Type"]  # there is no content
        return answer

    for base in ("/cds-services", "/cds-services/"):
        path = f"{base}/{SERVICE_ID}"
        hooks.add_url_rule(base, "discovery", discovery, methods=["GET"])
        hooks.add_url_rule(path, "call", call, methods=["POST"])
        hooks.add_url_rule(f"{path}/feedback", "feedback", feedback, methods=["POST"])
    return hooks


def most_bytes(limit: int) -> int:
    """How large a hook request of the calling client may be: what was agreed with it, never above the setting."""
    return min(limit, g.client.max_body_bytes or limit)


def json_body(limit: int) -> bytes:
    """The body, read only once its size and kind are known to be acceptable (P-20: 413, then 415)."""
    length = request.content_length
    if (length or 0) > limit:
        raise TooLarge(_TOO_LARGE)
    if request.mimetype != _JSON:
        raise WrongContentType("The body must be application/json.")
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise WrongContentType("The body must not be compressed.")  # T14
    return _read_chunks(limit) if length is None else _read_exactly(length)


def _read_exactly(length: int) -> bytes:
    try:
        body: bytes = request.environ["wsgi.input"].read(length)
    except OSError:
        body = b""
    if len(body) < length:
        raise BadRequest("The body broke off.")
    return body


def _read_chunks(limit: int) -> bytes:
    """A body without a length. Werkzeug would cut it at the limit, so one byte more is asked for (T13)."""
    request.max_content_length = limit + 1
    try:
        body = request.get_data(cache=False)
    except (OSError, ParseException):  # gunicorn's words for chunks that are none (P-13)
        raise BadRequest("The chunks of the body cannot be read.") from None
    if len(body) > limit:
        raise TooLarge(_TOO_LARGE)
    return body


def _server_timing(timings: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{name};dur={spent:.2f}" for name, spent in timings)
