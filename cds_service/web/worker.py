"""gunicorn's threads, refusing in our form: a request that gunicorn cannot read is an OperationOutcome too (C62)."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from ssl import SSLError
from typing import Any

import structlog
from gunicorn.http import errors as unread
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from cds_service.cds_hooks.outcome import operation_outcome
from cds_service.errors import BadRequest, RequestRefused
from cds_service.web.errors import UNFORESEEN, where_it_happened

_NOT_READ = "The request was refused before it reached the service: too large or not HTTP."
_OUR_FAULT = (unread.InvalidResponseHeader, unread.InvalidResponseHeaderName, unread.ConfigurationProblem)
# What gunicorn refuses by itself; anything else that its parser or TLS raises is 400.
_STATUSES: dict[type[Exception], HTTPStatus] = {
    unread.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    unread.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    unread.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    unread.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
}


class OutcomeWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """Answers what never reached the application, and writes a line of the same log about it.

    gunicorn's own answer is HTML with the caller's words in it, and so is its log (T33, T35).
    """

    def handle_error(self, _request: Any, connection: Any, _address: Any, error: Exception) -> None:
        """Refuse a request that could not be read; the connection is closed by gunicorn."""
        is_ours = isinstance(error, _OUR_FAULT) or not isinstance(error, unread.ParseException | SSLError)
        status = HTTPStatus.INTERNAL_SERVER_ERROR if is_ours else _STATUSES.get(type(error), HTTPStatus.BAD_REQUEST)
        line = structlog.get_logger("cds_service").bind(endpoint=None, status=status.value, client=None)
        if is_ours:
            line.error("call", error=type(error).__name__, error_at=where_it_happened(error))
            body = operation_outcome("fatal", RequestRefused.code, UNFORESEEN)
        else:
            line.info("call", refusal=_NOT_READ)
            body = operation_outcome("error", BadRequest.code, _NOT_READ)
        with suppress(OSError):  # nobody waits for it any more
            write_nonblock(connection, _answer(status, body))


def _answer(status: HTTPStatus, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Connection: close",
        "Content-Type: application/json",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join((*head, "", "")).encode() + body
