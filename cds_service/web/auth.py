"""Who may call, and from which web pages: the checks before anything of a request is read (P-20, P-21, P-24)."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from flask import Flask, Request, Response, g, request

from cds_service.errors import NotAllowed, SettingsError
from cds_service.settings import LOOPBACK_HOSTS, CdsClient, Settings, is_origin

_LOOPBACK_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)
_PREFLIGHT_ANSWER = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}


def install(app: Flask, settings: Settings) -> None:
    """Put the checks before every view, and CORS headers on every answer, refusals too (C78).

    :class:`SettingsError` unless the service is open: it would have nobody to answer.
    """
    if not settings.open:
        raise SettingsError(
            "No CDS Client is configured. Set ATROPHY_CDS_OPEN=true, or use --open, to try the service."
        )
    allowed = frozenset(origin.lower() for origin in settings.allow_origins)

    @app.before_request
    def admit() -> Response | None:
        if request.method == "OPTIONS":  # carries no token and no client (P-20, P-21)
            return Response(status=204)
        g.client = identify(request, settings)
        return None

    @app.after_request
    def tell_the_browser(response: Response) -> Response:
        response.headers.add("Vary", "Origin")
        origin = request.headers.get("Origin")
        if origin is not None and may_read(origin, allowed):
            response.headers["Access-Control-Allow-Origin"] = origin
            if "Access-Control-Request-Method" in request.headers and request.method == "OPTIONS":
                response.headers.update(_PREFLIGHT_ANSWER)
        return response


def identify(request: Request, settings: Settings) -> CdsClient:
    """Who calls. In open mode everyone on this machine is the same client and Authorization is ignored (P-24).

    :class:`NotAllowed` for a Host that is not this machine: a foreign web page could otherwise reach the service
    under a name of its own.
    """
    if not _LOOPBACK_HOST.fullmatch(request.environ.get("HTTP_HOST", "")):
        raise NotAllowed("In open mode the service answers only as localhost, 127.0.0.1 or [::1].")
    return CdsClient(
        id="open", profile=settings.profile, deadline_seconds=settings.deadline_seconds, rules_off=settings.rules_off
    )


def may_read(origin: str, allowed: frozenset[str]) -> bool:
    """Whether a web page of this origin may read our answers: loopback, or listed. ``null`` and ``*`` never (T19)."""
    if not is_origin(origin):
        return False
    return origin.lower() in allowed or urlsplit(origin).hostname in LOOPBACK_HOSTS
