"""Who calls: the JWT that a CDS Client sends with every request (C68-C77, P-31, T5-T7)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

import jwt

from cds_service.errors import NotAuthenticated
from cds_service.trust.clients import CdsClient
from cds_service.trust.key_sets import KeySets

# C74: "ES384 and RS384 supported", and what is stronger; never none, never a shared secret (C73).
ALGORITHMS = ("ES384", "ES512", "RS384", "RS512", "PS384", "PS512")
LONGEST_LIFE = 3600  # seconds from iat to exp (P-31)
SKEW = 60  # seconds that a clock may differ (P-31)
MAX_TOKEN = 8192  # bytes
MAX_JTI = 255
_REQUIRED = ["iss", "aud", "exp", "iat", "jti"]  # C71


class Replays(Protocol):
    """Remembers ids of tokens for all workers."""

    def first_use(self, issuer: str, jti: str, until: datetime) -> bool:
        """Whether this id was not used before; from now on it was. Raises StoreUnavailable (P-34)."""


class TokenVerifier:
    """Accepts a token once, at the endpoint that it is for, from a client of the file."""

    def __init__(self, clients: Iterable[CdsClient], keys: KeySets, replays: Replays, public_url: str) -> None:
        self._clients = tuple(clients)
        self._keys = keys
        self._replays = replays
        self._public_url = audience_spelled(public_url)

    def verify(self, authorization: str | None, path: str, endpoint: str | None) -> CdsClient:
        """The client whose token stands in the header. Raises NotAuthenticated, or StoreUnavailable.

        ``path`` and ``endpoint`` (discovery, call, feedback, explained) are of this request; nothing is derived from
        headers (T7).
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not 0 < len(token) <= MAX_TOKEN:
            raise NotAuthenticated
        try:
            return self._verify(token.strip(), path, endpoint)
        except (jwt.PyJWTError, UnicodeError, ValueError, TypeError, RecursionError):
            raise NotAuthenticated from None

    def _verify(self, token: str, path: str, endpoint: str | None) -> CdsClient:
        unverified = jwt.decode_complete(token, options={"verify_signature": False})
        header, claims = unverified["header"], unverified["payload"]
        client = self._client_of(claims)
        key = self._key_of(client, header)
        claims = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience=self._audiences(client, path, endpoint),
            issuer=client.issuer,
            leeway=SKEW,
            options={"require": _REQUIRED, "enforce_minimum_key_length": True},
        )
        self._refuse_long_life_and_replay(client, claims)
        return client

    def _client_of(self, claims: dict[str, Any]) -> CdsClient:
        issuer, tenant = claims.get("iss"), claims.get("tenant")
        for client in self._clients:
            if client.issuer == issuer and (not client.tenants or tenant in client.tenants):
                return client
        raise NotAuthenticated

    def _key_of(self, client: CdsClient, header: dict[str, Any]) -> jwt.PyJWK:
        """The key that the header names; a key that it brings itself (jwk, x5u, x5c) is never looked at (T5)."""
        kid, jku, algorithm = header.get("kid"), header.get("jku"), header.get("alg")
        if header.get("typ") != "JWT" or algorithm not in ALGORITHMS or not isinstance(kid, str):
            raise NotAuthenticated
        deadline = time.monotonic() + client.deadline_seconds
        key = self._keys.key(client, jku, kid, algorithm, deadline)
        if key is None:
            raise NotAuthenticated
        return key

    def _audiences(self, client: CdsClient, path: str, endpoint: str | None) -> tuple[str, ...]:
        """What ``aud`` may be: what the client's entry says, or our own URL of this path."""
        agreed = {
            "discovery": client.audiences.discovery,
            "call": client.audiences.service,
            "feedback": client.audiences.feedback,
            "explained": client.audiences.explain,
        }.get(endpoint or "", ())
        return agreed or (self._public_url + path,)

    def _refuse_long_life_and_replay(self, client: CdsClient, claims: dict[str, Any]) -> None:
        expires, issued, jti = claims["exp"], claims["iat"], claims["jti"]
        if expires - issued > LONGEST_LIFE or not 0 < len(jti) <= MAX_JTI:
            raise NotAuthenticated
        until = datetime.fromtimestamp(expires, UTC) + timedelta(seconds=SKEW)
        if not self._replays.first_use(client.issuer, jti, until):
            raise NotAuthenticated


def audience_spelled(url: str) -> str:
    """A URL with its host in small letters, without a default port or a slash at the end (P-31)."""
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = f":{parts.port}" if parts.port not in (None, default) else ""
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"
