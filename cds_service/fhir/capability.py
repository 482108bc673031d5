"""What a FHIR server says that it can: learned outside the call, kept an hour, never waited for (P-03, P-10)."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from cds_service.errors import FhirReadError, TemporaryFhirError
from cds_service.fhir.client import FhirClient

METADATA = "metadata"
KEPT_SECONDS = 3600.0
READ_SECONDS = 2.0
AGAIN_SECONDS = 60.0  # a HAPI that has just started took 2.0 s for its first answer
_SERVERS_KEPT = 256


class Capability(msgspec.Struct, frozen=True):
    """What can be read and searched: by type of resource the parameters that its searches know.

    A type without any parameter written says nothing about parameters. ``fhir_version`` is as written.
    """

    types: Mapping[str, frozenset[str]]
    fhir_version: str = ""

    def offers(self, resource: str) -> bool:
        """Whether a type is there (P-03)."""
        return resource in self.types

    def knows(self, resource: str, query: str) -> bool:
        """Whether a search of this type knows every parameter of ``query`` (a path or URL); result parameters aside."""
        known = self.types.get(resource)
        asked = {name for name, _ in parse_qsl(urlsplit(query).query) if not name.startswith("_")}
        return not known or asked <= known


class _Parameter(msgspec.Struct):
    name: str | None = None


class _Resource(msgspec.Struct, rename="camel"):
    type: str | None = None
    search_param: list[_Parameter] | None = None


class _Rest(msgspec.Struct):
    mode: str | None = None
    resource: list[_Resource] | None = None


class _Statement(msgspec.Struct, rename="camel"):
    resource_type: str
    fhir_version: Any = None
    rest: list[_Rest] | None = None


_STATEMENT = msgspec.json.Decoder(_Statement)


def read_capability(body: bytes) -> Capability | None:
    """A CapabilityStatement; None for what is none, or names no type at all: that proves nothing."""
    try:
        statement = _STATEMENT.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    if statement.resource_type != "CapabilityStatement":
        return None
    types = {
        resource.type: frozenset(p.name for p in resource.search_param or () if p.name)
        for rest in statement.rest or ()
        if rest.mode in (None, "server")
        for resource in rest.resource or ()
        if resource.type
    }
    version = statement.fhir_version if isinstance(statement.fhir_version, str) else ""
    return Capability(types, version) if types else None


class _Learned:
    """What is known of one FHIR base."""

    def __init__(self) -> None:
        self.asked_at = -KEPT_SECONDS
        self.capability: Capability | None = None
        self.refused: dict[str, float] = {}  # what was asked -> when it was refused


class Capabilities:
    """What is known of the FHIR bases that were read last. Safe to share between threads."""

    def __init__(self, client: FhirClient) -> None:
        self._client = client
        self._kept: OrderedDict[str, _Learned] = OrderedDict()
        self._lock = Lock()

    def of(self, base: str) -> Capability | None:
        """What is known now. What is not, or is an hour old, is learned in the background: the next call has it."""
        learned = self._at(base)
        with self._lock:
            is_due = time.monotonic() - learned.asked_at >= KEPT_SECONDS
            if is_due:
                learned.asked_at = time.monotonic()
        if is_due:
            self._client.in_background(lambda: self._learn(base, learned))
        return learned.capability

    def note_refused(self, base: str, asked: str) -> None:
        """The server refused this: ``Type``, a search with our parameters; ``Type/_search``, a search by POST."""
        self._at(base).refused[asked] = time.monotonic()

    def was_refused(self, base: str, asked: str) -> bool:
        """Whether that happened within the hour."""
        return time.monotonic() - self._at(base).refused.get(asked, -KEPT_SECONDS) < KEPT_SECONDS

    def _at(self, base: str) -> _Learned:
        with self._lock:
            learned = self._kept.pop(base, None) or _Learned()
            self._kept[base] = learned
            if len(self._kept) > _SERVERS_KEPT:
                self._kept.popitem(last=False)
            return learned

    def _learn(self, base: str, learned: _Learned) -> None:
        try:
            # Without the token of the call: a CapabilityStatement is for everybody, a token for one chart (C38).
            answer = self._client.get(base, METADATA, None, time.monotonic() + READ_SECONDS)
        except FhirReadError as error:
            learned.capability = None  # what was true an hour ago need not be true for ever
            if isinstance(error, TemporaryFhirError):
                learned.asked_at += AGAIN_SECONDS - KEPT_SECONDS
            return
        learned.capability = read_capability(answer.body)
