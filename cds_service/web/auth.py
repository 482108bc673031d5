"""Who may call, and from which web pages: the checks before anything of a request is read (P-20, P-21, P-24)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit

from flask import Flask, Request, Response, g, request

from cds_service.errors import NotAllowed, TooManyCalls
from cds_service.settings import LOOPBACK_HOSTS, is_origin
from cds_service.trust.clients import CdsClient

_LOOPBACK_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)
_PREFLIGHT_ANSWER = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}
_FOREIGN_PAGE = "This client may not be called from a web page of that origin."


class Admission(Protocol):
    """Decides who calls."""

    def identify(self, request: Request) -> CdsClient:
        """The caller. Raises RequestRefused."""

    def may_read(self, origin: str) -> bool:
        """Whether a web page of this origin may read some of our answers (T19)."""


def install(app: Flask, admission: Admission) -> None:
    """Put the checks before every view, and CORS headers on every answer, refusals too (C78)."""

    @app.before_request
    def admit() -> Response | None:
        if request.method == "OPTIONS":  # carries no token and no client (P-20, P-21)
            return Response(status=204)
        g.client = admission.identify(request)
        return None

    @app.after_request
    def tell_the_browser(response: Response) -> Response:
        response.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin is not None and admission.may_read(origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            if "Access-Control-Request-Method" in request.headers and request.method == "OPTIONS":
                response.headers.update(_PREFLIGHT_ANSWER)
        return response


class OpenAdmission:
    """Open mode: everyone on this machine is the same client, and Authorization is ignored (P-24)."""

    def __init__(self, client: CdsClient, allow_origins: Iterable[str]) -> None:
        self._client = client
        self._allowed = frozenset(map(str.lower, allow_origins))

    def identify(self, request: Request) -> CdsClient:
        """The client ``open``.

        :class:`NotAllowed` for a Host that is not this machine: a foreign web page could otherwise reach the service
        under a name of its own.
        """
        if not _LOOPBACK_HOST.fullmatch(request.environ.get("HTTP_HOST", "")):
            raise NotAllowed("In open mode the service answers only as localhost, 127.0.0.1 or [::1].")
        return self._client

    def may_read(self, origin: str) -> bool:
        """Loopback, or listed. ``null`` and ``*`` never."""
        if not is_origin(origin):
            return False
        return origin.lower() in self._allowed or urlsplit(origin).hostname in LOOPBACK_HOSTS


class Verifier(Protocol):
    """Accepts a token once."""

    def verify(self, authorization: str | None, path: str, endpoint: str | None) -> CdsClient:
        """The client of the token. Raises NotAuthenticated or StoreUnavailable."""


class TokenAdmission:
    """Only clients of the file, each with a token of its own for every request, as often as agreed."""

    def __init__(
        self,
        verifier: Verifier,
        clients: Iterable[CdsClient],
        calls_in_minute: Callable[[str, datetime], int],
        clock: Callable[[], datetime],
    ) -> None:
        self._verifier = verifier
        self._origins = {client.id: frozenset(map(str.lower, client.origins)) for client in clients}
        self._calls_in_minute = calls_in_minute
        self._clock = clock

    def identify(self, request: Request) -> CdsClient:
        """The client of the token (401), within its limit (429), and from none but its own web pages (403)."""
        endpoint = (request.endpoint or "").rpartition(".")[2]
        client = self._verifier.verify(request.headers.get("Authorization"), request.path, endpoint)
        g.client = client  # so that a refusal is logged with its client
        now = self._clock()
        if self._calls_in_minute(client.id, now) > client.calls_per_minute:
            raise TooManyCalls(60 - now.second)
        origin = request.headers.get("Origin")
        if origin is not None and request.routing_exception is None and origin.lower() not in self._origins[client.id]:
            raise NotAllowed(_FOREIGN_PAGE)
        return client

    def may_read(self, origin: str) -> bool:
        """An origin of any client: a preflight carries no token that would say which (P-21)."""
        return any(origin.lower() in origins for origins in self._origins.values())
