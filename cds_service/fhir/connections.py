"""Connections that check the address they connect to (T2) and stop reading in time, however slow the drip (T16).

The one place that reaches into urllib3: it subclasses its connections, which is how urllib3 is meant to be extended.
"""

from __future__ import annotations

import functools
import http.client
import io
import socket
import time
from collections.abc import Callable, Iterable
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any

import msgspec
import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

from cds_service.errors import FinalFhirError
from cds_service.fhir.addresses import Address

AddressPolicy = Callable[[str, Address], bool]
NOT_ALLOWED = "server-not-allowed"
_READ_BUFFER = 65_536
_HOSTS_KEPT = 32
_CONNECTIONS_PER_HOST = 32  # two FHIR bases of one host at the limit of P-10

_HEADERS = {
    "Accept": "application/fhir+json",
    "Accept-Encoding": "gzip",
    "Cache-Control": "no-cache",  # P-09: else a server may repeat an answer from before the last order
    "User-Agent": "atrophy-cds",
}


class Transport(msgspec.Struct, frozen=True):
    """How one FHIR base is reached (P-11): files of a CA bundle, a client certificate and its key; a proxy's URL.

    ``cached_answers``: the server may repeat an answer (P-09).
    """

    ca_bundle: str | None = None
    certificate: str | None = None
    key: str | None = None
    proxy: str | None = None
    cached_answers: bool = False

    def options(self) -> dict[str, Any]:
        """The same as arguments of ``requests``."""
        certificate = (self.certificate, self.key) if self.key else self.certificate
        proxies = {"http": self.proxy, "https": self.proxy} if self.proxy else None
        return {"verify": self.ca_bundle or True, "cert": certificate, "proxies": proxies}


def new_session(allowed: AddressPolicy) -> requests.Session:
    """No cookies, no .netrc, no proxies or CA bundles from the environment (P-11): they would mix users."""
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    session.headers.clear()
    session.headers.update(_HEADERS)
    adapter = CheckedAdapter(allowed)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class CheckedAdapter(HTTPAdapter):
    """Keeps connections to addresses that ``allowed(host, address)`` agrees to; a named proxy is not checked."""

    def __init__(self, allowed: AddressPolicy) -> None:
        self._allowed = allowed
        super().__init__(pool_connections=_HOSTS_KEPT, pool_maxsize=_CONNECTIONS_PER_HOST, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As in requests, with our connections in the pools."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pool_classes(self._allowed)


def _pool_classes(allowed: AddressPolicy) -> dict[str, type[HTTPConnectionPool]]:
    class PlainConnection(_CheckedConnection, HTTPConnection):
        policy = staticmethod(allowed)

    class TlsConnection(_CheckedConnection, HTTPSConnection):
        policy = staticmethod(allowed)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = PlainConnection

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = TlsConnection

    return {"http": PlainPool, "https": TlsPool}


class _CheckedConnection(HTTPConnection):
    """Connects to an address that was checked, not to a name that may have changed since (P-30)."""

    policy: AddressPolicy

    def _new_conn(self) -> socket.socket:
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except UnicodeError as error:  # a label that no host name can have
            raise NewConnectionError(self, "not a host name") from error
        addresses = [ip_address(entry[4][0]) for entry in found]
        if not all(self.policy(self._dns_host, address) for address in addresses):
            raise FinalFhirError(NOT_ALLOWED)
        return self._connect_to_one_of(addresses, time.monotonic() + (self.timeout or 0))

    def _connect_to_one_of(self, addresses: Iterable[Address], connect_by: float) -> socket.socket:
        for address in addresses:
            left = connect_by - time.monotonic()
            if left <= 0:
                break
            try:
                return create_connection((str(address), self.port), left, socket_options=self.socket_options)
            except OSError:
                continue  # localhost is ::1 and 127.0.0.1, and a server may listen on one of them only
        if time.monotonic() >= connect_by:
            raise ConnectTimeoutError(self, "connect timeout")
        raise NewConnectionError(self, "not connected")

    def getresponse(self) -> Any:
        """The answer, whose head and body together take no longer than the time-out of this request."""
        answer_by = time.monotonic() + (self.timeout or 0)
        self.response_class = functools.partial(_TimedResponse, answer_by=answer_by)  # type: ignore[assignment] # it is only called
        return super().getresponse()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, answer_by: float, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_TimedReader(self.fp.detach(), sock, answer_by), _READ_BUFFER)


class _TimedReader(io.RawIOBase):
    """A socket's time-out starts anew with every byte; here each read gets what is left of the whole."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, answer_by: float) -> None:
        self._raw = raw
        self._sock = sock
        self._answer_by = answer_by

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        left = self._answer_by - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
