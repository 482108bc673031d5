"""Reading one source from a FHIR server, page by page, within what one call may take (P-08, P-10, T17)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

import msgspec

from cds_service.errors import FhirReadError, FinalFhirError
from cds_service.fhir.capability import Capabilities
from cds_service.fhir.client import BAD_REQUEST, DEADLINE, GONE, NOT_FOUND, FhirClient
from cds_service.fhir.outcomes import ALL_SEEN, Verdict
from cds_service.fhir.reading.identity import id_in_url
from cds_service.fhir.reading.pages import UNREADABLE
from cds_service.prefetch.pages import next_page
from cds_service.prefetch.plan import Query
from cds_service.record import SourceState

# Far above any chart; the deadline ends most reading before these do.
MAX_PAGES = 400
MAX_ENTRIES = 20_000
MAX_CALL_BYTES = 64 * 1024 * 1024
PAGE_LOOP = "page-loop"
TOO_MUCH = "too-much"


class FhirAccess:
    """One call's view of its CDS Client's FHIR server: base, token, deadline, and how many bytes came so far.

    ``aliases`` are other spellings of the base, which the server writes into its links (P-08). ``capabilities``: what
    is known of all servers, where it is kept.
    """

    def __init__(  # noqa: PLR0913 - the terms of one call
        self,
        client: FhirClient,
        base: str,
        token: str | None,
        deadline: float,
        *,
        aliases: tuple[str, ...] = (),
        capabilities: Capabilities | None = None,
    ) -> None:
        self._client = client
        self._capabilities = capabilities
        self._capability = capabilities.of(base) if capabilities else None
        self._base = base
        self._token = token
        self._aliases = aliases
        self._bytes = 0
        self.deadline = deadline

    def __repr__(self) -> str:
        return "FhirAccess()"

    def read(self, path_or_url: str) -> bytes:
        """A path under the base, or what a page or a resource refers to. Raises FhirReadError."""
        url = self._resolve(path_or_url)
        answer = self._client.get(self._base, url, self._token, self.deadline)
        self._bytes += len(answer.body)
        if self._bytes > MAX_CALL_BYTES:
            raise FinalFhirError(TOO_MUCH)
        return answer.body if answer.url == url else _as_merged(answer.body, url)

    def offers(self, resource: str) -> bool:
        """Whether the server is not known to lack this type (P-03)."""
        return self._capability is None or self._capability.offers(resource)

    def takes(self, resource: str, query: str) -> bool:
        """Whether the server is not known to refuse a parameter of this search."""
        if self._capabilities is not None and self._capabilities.was_refused(self._base, resource):
            return False
        return self._capability is None or self._capability.knows(resource, query)

    def note_refused(self, resource: str) -> None:
        """The server refused a parameter: the next call need not try."""
        if self._capabilities is not None:
            self._capabilities.note_refused(self._base, resource)

    def _resolve(self, path_or_url: str) -> str:
        for alias in self._aliases:
            if path_or_url == alias or path_or_url.startswith((f"{alias}/", f"{alias}?")):
                return self._base + path_or_url[len(alias) :]
        return urljoin(f"{self._base}/", path_or_url)


class Strand:
    """The pages of one search, or those that follow a page which came as prefetch.

    ``pages`` and ``verdict`` are true at every moment, so that a deadline can cut in anywhere; read ``verdict`` first.
    """

    def __init__(self, access: FhirAccess, query: Query, following: str | None = None) -> None:
        self.pages: tuple[bytes, ...] = ()
        self._access = access
        self._query = query
        self._following = following
        self.verdict = self._cut_off(DEADLINE)

    def run(self) -> None:
        """Read to the last page. Never raises for anything that a server does."""
        try:
            try:
                self._walk(self._following)
            except FinalFhirError as error:
                if error.cause != GONE or not self._has_some:
                    raise
                self._walk(None)  # the search has expired on the server: once more from its beginning
        except FhirReadError as error:
            self.verdict = self._cut_off(error.cause)

    @property
    def _has_some(self) -> bool:
        return self._following is not None or bool(self.pages)

    def _walk(self, url: str | None) -> None:
        seen: set[str] = set()
        entries = 0
        while True:
            body = self._access.read(url) if url else self._first_page()
            following = next_page(body)
            self._take(body, is_last=following is None)
            if following is None:
                return
            url, entries = following.url, entries + following.entries
            if url in seen:
                raise FinalFhirError(PAGE_LOOP)
            if len(seen) >= MAX_PAGES or entries > MAX_ENTRIES:
                raise FinalFhirError(TOO_MUCH)
            seen.add(url)

    def _take(self, body: bytes, *, is_last: bool) -> None:
        self.pages += (body,)
        self.verdict = ALL_SEEN if is_last else self._cut_off(DEADLINE)

    def _first_page(self) -> bytes:
        path, plain = self._query
        if plain is None:
            return self._access.read(path)
        resource = path.partition("?")[0]
        if not self._access.takes(resource, path):
            return self._access.read(plain)
        try:
            return self._access.read(path)
        except FinalFhirError as error:
            if error.cause != BAD_REQUEST:
                raise
            self._access.note_refused(resource)
            return self._access.read(plain)

    def _cut_off(self, cause: str) -> Verdict:
        if self._has_some:
            return Verdict(SourceState.INCOMPLETE, cause)
        if cause == NOT_FOUND and self._query.plain is not None:  # P-03: a search of a type that is not there
            return Verdict(SourceState.NOT_OFFERED, cause)
        return Verdict(SourceState.FAILED, cause)


def _as_merged(body: bytes, asked: str) -> bytes:
    """A redirected Patient, with the link that the redirect stands for: it replaces the one asked for (P-06)."""
    asked_id = id_in_url(asked, "Patient")
    try:
        patient = msgspec.json.decode(body, type=dict[str, Any])
    except UNREADABLE:
        return body
    if asked_id is None or patient.get("resourceType") != "Patient":
        return body
    links = patient.get("link")
    merged = {"other": {"reference": f"Patient/{asked_id}"}, "type": "replaces"}
    patient["link"] = [*(links if isinstance(links, list) else ()), merged]
    return msgspec.json.encode(patient)
