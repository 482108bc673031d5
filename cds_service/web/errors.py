"""Turns every error into an HTTP status and an OperationOutcome with our own text (C62, P-20, T35)."""

from __future__ import annotations

import traceback
from pathlib import Path

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from cds_service.cds_hooks.outcome import operation_outcome
from cds_service.errors import BadRequest, RequestRefused, TooLarge, UnknownPath, WrongContentType, WrongMethod
from cds_service.web import call_log

UNFORESEEN = "The service failed. Nothing can be concluded about this patient."
_PACKAGE = Path(__file__).parents[1]

# What Flask and Werkzeug refuse by themselves, in our words.
_TEXTS: dict[int, tuple[type[RequestRefused], str]] = {
    400: (BadRequest, "The request could not be read."),
    404: (UnknownPath, "No such service or page. GET /cds-services lists the services."),
    405: (WrongMethod, "This path does not answer that method."),
    413: (TooLarge, "The body is larger than this service accepts."),
    415: (WrongContentType, "The body must be application/json."),
    416: (BadRequest, "The file has no such range."),
}


def install(app: Flask) -> None:
    """Answer every error in one form; this is the outermost edge, where nothing may pass."""
    app.register_error_handler(RequestRefused, refused)
    app.register_error_handler(HTTPException, refused_by_flask)
    app.register_error_handler(Exception, unforeseen)


def refused(error: RequestRefused) -> Response:
    """One of our own refusals; its text is constant."""
    call_log.note(refusal=str(error))
    answer = _answer(error.status, error.code, str(error))
    answer.headers.update(error.headers)
    return answer


def refused_by_flask(error: HTTPException) -> Response:
    """An unknown path, a wrong method, a body that is too large or that broke off. ``Allow`` is kept on 405."""
    status = error.code or 500
    if status not in _TEXTS:
        return unforeseen(error)
    kind, text = _TEXTS[status]
    call_log.note(refusal=text)
    answer = _answer(status, kind.code, text)
    if "Allow" in (headers := dict(error.get_headers())):
        answer.headers["Allow"] = headers["Allow"]
    return answer


def unforeseen(error: Exception) -> Response:
    """500, never an empty list of cards (T23). Logged by kind and place, without the message: it may hold a value."""
    call_log.note(error=type(error).__name__, error_at=where_it_happened(error))
    return _answer(500, RequestRefused.code, UNFORESEEN)


def where_it_happened(error: BaseException) -> list[str]:
    """The last places of the traceback in this package, file and line only, the innermost last."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _PACKAGE in Path(frame.filename).parents]
    return [f"{Path(frame.filename).relative_to(_PACKAGE)}:{frame.lineno} {frame.name}" for frame in ours[-5:]]


def _answer(status: int, code: str, text: str) -> Response:
    body = operation_outcome("fatal" if status >= 500 else "error", code, text)  # noqa: PLR2004 - HTTP's server errors
    return Response(body, status, mimetype="application/json")
