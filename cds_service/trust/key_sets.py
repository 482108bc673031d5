"""The public keys of CDS Clients, from their JWK Sets or from a file (C75, C76, T3)."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jwt
import msgspec
import requests
import urllib3
from urllib3.util import Timeout

from cds_service.errors import FhirReadError, SettingsError
from cds_service.fhir.connections import new_session
from cds_service.trust.clients import CdsClient, KeySet
from cds_service.trust.outbound import Outbound

MAX_BYTES = 65_536
MAX_KEYS = 100
READ_SECONDS = 1.0
REFRESH_AFTER = 600.0  # seconds: then the set is read again, in the background
FORGET_AFTER = 86_400.0  # a set that could not be read for a day proves nothing any more
COOL_DOWN = 30.0  # between two reads for a kid that is not there: else anybody could make us ask without end
_A_MOMENT = 0.05
_OK = 200
_CURVES = {"ES384": "P-384", "ES512": "P-521"}

Keys = Mapping[str, Mapping[str, Any]]


def keys_in(body: bytes) -> Keys:
    """The signing keys of a JWK Set by ``kid``. Raises ValueError for what is none.

    Left out: keys without kid, secret and private ones, those for encryption, and two different ones of one kid (T5).
    """
    try:
        written = msgspec.json.decode(body, type=dict[str, Any]).get("keys")
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise ValueError("not JSON") from None
    if not isinstance(written, list) or not 0 < len(written) <= MAX_KEYS:
        raise ValueError(f"it must hold 1 to {MAX_KEYS} keys")
    found: dict[str, Mapping[str, Any]] = {}
    ambiguous: set[str] = set()
    for key in written:
        if not isinstance(key, dict) or not isinstance(kid := key.get("kid"), str):
            continue
        if key.get("kty") not in ("EC", "RSA") or "d" in key or key.get("use", "sig") != "sig":
            continue
        if found.setdefault(kid, key) != key:
            ambiguous.add(kid)
    return {kid: key for kid, key in found.items() if kid not in ambiguous}


class KeySets:
    """All keys of all clients. Safe to share between threads; makes its threads and connections when first used."""

    def __init__(self, clients: Iterable[CdsClient], outbound: Outbound) -> None:
        """Raises SettingsError for a file of keys that cannot be used."""
        clients = tuple(clients)
        session = new_session(outbound.connects)
        self._fetched = {s.url: FetchedKeys(s, session) for client in clients for s in client.key_sets}
        self._of_file = {client.id: _read_file(client.keys_file) for client in clients if client.keys_file}

    def refresh(self) -> None:
        """Begin to read every set, in the background."""
        for one in self._fetched.values():
            one.refresh()

    def read_now(self, url: str) -> Keys | None:
        """Read one set and wait for it; None when it cannot be read. For ``clients check``."""
        fetched = self._fetched[url]
        return fetched.keys if fetched.read(READ_SECONDS) else None

    def key(self, client: CdsClient, jku: str | None, kid: str, algorithm: str, deadline: float) -> jwt.PyJWK | None:
        """The key that a token of this client names, for this algorithm; None when it has no such key.

        A ``jku`` that is not in the client's entry is never contacted. A new ``kid`` is looked for once within the
        ``deadline`` (monotonic seconds), and then not again for a while.
        """
        if jku is None:
            found = self._of_file.get(client.id, {}).get(kid)
        elif any(jku == key_set.url for key_set in client.key_sets):
            found = self._fetched[jku].find(kid, deadline)
        else:
            found = None
        return _usable(msgspec.json.encode(found), algorithm) if found else None


class FetchedKeys:
    """One JWK Set of a server."""

    def __init__(self, key_set: KeySet, session: requests.Session) -> None:
        self.keys: Keys = {}
        self._url = key_set.url
        self._options = key_set.transport.options()
        self._session = session
        self._read_at = self._tried_at = -FORGET_AFTER
        self._reading = threading.Lock()

    def find(self, kid: str, deadline: float) -> Mapping[str, Any] | None:
        """The key of that kid, from memory or, when it is new, from the server."""
        age = time.monotonic() - self._read_at
        if kid in self.keys and age < FORGET_AFTER:
            if age > REFRESH_AFTER:
                self.refresh()
            return self.keys[kid]
        left = deadline - time.monotonic()
        if left > 0 and self._reading.acquire(timeout=min(left, self._patience())):
            try:
                if kid not in self.keys or age >= FORGET_AFTER:
                    self._read_unless_tried(deadline - time.monotonic())
            finally:
                self._reading.release()
        fresh = time.monotonic() - self._read_at < FORGET_AFTER
        return self.keys.get(kid) if fresh else None

    def _patience(self) -> float:
        """How long to wait for a read that is under way: a resolver that hangs keeps it longer than it may take."""
        return max(_A_MOMENT, self._tried_at + READ_SECONDS - time.monotonic())

    def refresh(self) -> None:
        """Read the set in the background, unless it was tried just now."""
        if time.monotonic() - self._tried_at > COOL_DOWN:
            threading.Thread(target=self.read, args=(READ_SECONDS,), name="keys", daemon=True).start()

    def read(self, seconds: float) -> bool:
        """Read the set within that time; what is known stays when it cannot be read. Whether it could."""
        with self._reading:
            return self._read(seconds)

    def _read_unless_tried(self, seconds: float) -> None:
        if time.monotonic() - self._tried_at > COOL_DOWN:
            self._read(min(seconds, READ_SECONDS))

    def _read(self, seconds: float) -> bool:
        self._tried_at = time.monotonic()
        try:
            self.keys = keys_in(self._body(seconds))
        except (ValueError, FhirReadError, requests.RequestException, urllib3.exceptions.HTTPError):
            return False
        self._read_at = time.monotonic()
        return True

    def _body(self, seconds: float) -> bytes:
        options: dict[str, Any] = {"timeout": Timeout(total=seconds), **self._options}
        accept = {"Accept": "application/json"}
        with self._session.get(self._url, headers=accept, stream=True, allow_redirects=False, **options) as response:
            if response.status_code != _OK:
                raise ValueError("no key set")
            body: bytes = response.raw.read(MAX_BYTES + 1, decode_content=True)
        if len(body) > MAX_BYTES:
            raise ValueError("too large")
        return body


@functools.lru_cache(maxsize=256)
def _usable(jwk: bytes, algorithm: str) -> jwt.PyJWK | None:
    """A key for one algorithm; None when it is for another, or of another curve (T5)."""
    written = msgspec.json.decode(jwk, type=dict[str, Any])
    if written.get("alg", algorithm) != algorithm:
        return None
    if algorithm in _CURVES and written.get("crv") != _CURVES[algorithm]:
        return None
    try:
        return jwt.PyJWK(written, algorithm)
    except jwt.PyJWTError:
        return None


def _read_file(name: str) -> Keys:
    try:
        return keys_in(Path(name).read_bytes())
    except (OSError, ValueError) as error:
        problem = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"{name} is no JWK Set: {problem}.") from None
