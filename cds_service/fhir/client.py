"""A read-only FHIR R4 client: one kept session, one deadline for all, nothing shared between users (P-10, P-11).

Causes of its errors, the only words that leave it: ``deadline``, ``timeout``, ``connection``, ``server-error``,
``throttled``, ``busy`` and ``circuit-open`` are temporary; ``bad-request``, ``unauthorized``, ``forbidden``,
``not-found``, ``gone``, ``method-refused``, ``refused``, ``tls``, ``not-fhir``, ``too-large``, ``other-server``,
``redirect-loop`` and ``server-not-allowed`` are final.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple, Self
from urllib.parse import urljoin

import requests
import urllib3
from requests.exceptions import SSLError, Timeout
from urllib3.util import Retry
from urllib3.util import Timeout as TotalTimeout

from cds_service.errors import FhirReadError, FinalFhirError, TemporaryFhirError
from cds_service.fhir.addresses import open_mode_allows, open_mode_connects, same_server
from cds_service.fhir.connections import AddressPolicy, Transport, new_session
from cds_service.fhir.in_flight import IN_FLIGHT_PER_CALL, InFlight
from cds_service.fhir.servers import PassingFault, Servers

__all__ = ["Answer", "FhirClient", "Transport", "open_mode_allows"]

BAD_REQUEST, FORBIDDEN, NOT_FOUND, METHOD_REFUSED = "bad-request", "forbidden", "not-found", "method-refused"
GONE, OTHER_SERVER, DEADLINE = "gone", "other-server", "deadline"
# P-09: what a server may answer to a search by POST that it would answer by GET.
POST_REFUSED = frozenset({BAD_REQUEST, FORBIDDEN, NOT_FOUND, METHOD_REFUSED})
MAX_BYTES = 16 * 1024 * 1024  # of one answer, inflated: over twice a chart of 5,000 resources

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FINAL = {
    400: BAD_REQUEST,
    401: "unauthorized",
    403: FORBIDDEN,
    404: NOT_FOUND,
    405: METHOD_REFUSED,
    410: GONE,
    415: METHOD_REFUSED,
}
_THROTTLED, _UNAVAILABLE = 429, 503
_UNHEALTHY = frozenset({500, 502, 503, 504})  # P-10: these feed the breaker, and no other status
_OK, _SERVER_ERRORS = 200, 500
_MAX_REDIRECTS = 3
_PAUSES = (0.05, 0.2)  # seconds before the second and the third try
_CHUNK = 65_536
# A time-out tells of the server only when it had this long; else it tells of how late we asked.
_FAIR_CHANCE = 0.2
_RETRY_AFTER = Retry()

# urllib3 writes URLs, and with them patient ids, at DEBUG and when a header does not parse (T36).
for _name in ("urllib3.connectionpool", "urllib3.connection"):
    logging.getLogger(_name).addFilter(lambda _record: False)


class Answer(NamedTuple):
    """The body of a 200, the URL that answered (another one than was asked after a redirect), and its Date."""

    body: bytes
    url: str
    date: str | None = None


class FhirClient:
    """Reads from FHIR servers. One per process, made after forking; safe to share between threads.

    ``allowed(host, address)`` judges every address that is connected to; ``transports`` is keyed by FHIR base.
    """

    def __init__(
        self,
        allowed: AddressPolicy = open_mode_connects,
        *,
        transports: Mapping[str, Transport] | None = None,
        max_bytes: int = MAX_BYTES,
        workers: int = 8 * IN_FLIGHT_PER_CALL,
    ) -> None:
        self._transports = dict(transports or {})
        self._options = {base: transport.options() for base, transport in self._transports.items()}
        self._max_bytes = max_bytes
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="fhir")
        self._session = new_session(allowed)
        self._servers = Servers()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End threads and connections. Waits for requests in flight, which end with their deadline."""
        self._executor.shutdown(cancel_futures=True)
        self._session.close()

    def get(self, base: str, path_or_url: str, token: str | None, deadline: float) -> Answer:
        """Read ``path_or_url`` (under ``base``, or an absolute URL on the same server) until ``deadline`` (monotonic).

        Tries again after temporary failures while time is left. Raises :class:`FhirReadError`.
        """
        return self._ask(base, path_or_url, token, deadline, None)

    def post_search(self, base: str, query: str, token: str | None, deadline: float) -> Answer:
        """Search by POST, as ``get`` does by GET: ``query`` (``Type?name=value``) is sent as a form, in no URL (P-09).

        A redirect is not followed: it raises ``method-refused``.
        """
        resource, _, form = query.partition("?")
        return self._ask(base, f"{resource}/_search", token, deadline, form)

    def in_background(self, task: Callable[[], None]) -> None:
        """Run a task that nobody waits for."""
        self._executor.submit(task)

    def in_flight(self, deadline: float) -> InFlight:
        """What one call may do at the same time."""
        return InFlight(self._executor, deadline)

    def _ask(self, base: str, path_or_url: str, token: str | None, deadline: float, form: str | None) -> Answer:
        url = path_or_url if "://" in path_or_url else f"{base}/{path_or_url}"
        server = self._servers.at(base)
        for pause in _PAUSES:
            try:
                with server.turn(deadline):
                    return self._read(base, url, token, deadline, form)
            except PassingFault as fault:
                pause_now = max(pause, fault.retry_after)
                if time.monotonic() + pause_now >= deadline:
                    raise
                time.sleep(pause_now)
        with server.turn(deadline):
            return self._read(base, url, token, deadline, form)

    def _read(self, base: str, url: str, token: str | None, deadline: float, form: str | None) -> Answer:
        for _ in range(1 + _MAX_REDIRECTS):
            if not same_server(base, url):  # T4: neither with the token nor without it
                raise FinalFhirError(OTHER_SERVER)
            started = time.monotonic()
            if started >= deadline:
                raise TemporaryFhirError(DEADLINE)
            try:
                with self._send(base, url, token, deadline - started, form) as response:
                    if response.status_code == _OK:
                        return Answer(_body(response, self._max_bytes), url, response.headers.get("Date"))
                    _drain(response)
            except SSLError:
                raise FinalFhirError("tls") from None
            # Their messages hold the URL: neither they nor their chain go further (P-20).
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                raise _broken(error, started, deadline) from None
            url = _redirected(response, url, form)
        raise FinalFhirError("redirect-loop")

    def _send(self, base: str, url: str, token: str | None, seconds: float, form: str | None) -> requests.Response:
        options: dict[str, Any] = {"timeout": TotalTimeout(total=seconds), **self._options.get(base, {})}
        headers: dict[str, str | None] = {"Authorization": f"Bearer {token}"} if token else {}
        if base in self._transports and self._transports[base].cached_answers:
            headers["Cache-Control"] = None  # takes the session's away
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        method = "GET" if form is None else "POST"
        return self._session.request(
            method, url, data=form, headers=headers, stream=True, allow_redirects=False, **options
        )


def _body(response: requests.Response, limit: int) -> bytes:
    """The inflated body, read no further than the limit (T14)."""
    chunks: list[bytes] = []
    size = 0
    for chunk in response.iter_content(_CHUNK):
        size += len(chunk)
        if size > limit:
            raise FinalFhirError("too-large")
        chunks.append(chunk)
    body = b"".join(chunks)
    if not body[:_CHUNK].lstrip().startswith(b"{"):  # a login page, an XML answer
        raise FinalFhirError("not-fhir")
    return body


def _drain(response: requests.Response) -> None:
    """Read a short body that nobody wants, so that the connection can be used again; the status is what counts."""
    with suppress(urllib3.exceptions.HTTPError):
        response.raw.read(_CHUNK, decode_content=False)


def _broken(error: Exception, started: float, deadline: float) -> PassingFault:
    now = time.monotonic()
    if isinstance(error, Timeout) or now >= deadline:
        return PassingFault("timeout", unhealthy=now - started >= _FAIR_CHANCE)
    return PassingFault("connection", unhealthy=True)


def _redirected(response: requests.Response, url: str, form: str | None) -> str:
    location = response.headers.get("Location")
    if response.status_code not in _REDIRECTS or not location:
        raise _refusal(response)
    if form is not None:  # a form that is sent on, or becomes a GET, is not what was agreed to
        raise FinalFhirError(METHOD_REFUSED)
    return urljoin(url, location)


def _refusal(response: requests.Response) -> FhirReadError:
    status = response.status_code
    if status != _THROTTLED and status < _SERVER_ERRORS:
        return FinalFhirError(_FINAL.get(status, "refused"))
    wanted = response.headers.get("Retry-After") if status in (_THROTTLED, _UNAVAILABLE) else None
    cause = "throttled" if status == _THROTTLED else "server-error"
    return PassingFault(cause, unhealthy=status in _UNHEALTHY, retry_after=_seconds(wanted))


def _seconds(retry_after: str | None) -> float:
    try:
        return _RETRY_AFTER.parse_retry_after(retry_after) if retry_after else 0.0
    except urllib3.exceptions.InvalidHeader:
        return 0.0
