"""Reading one source from a FHIR server, page by page, within what one call may take (P-08, P-10, T17)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urljoin

import msgspec

from cds_service.errors import FhirReadError, FinalFhirError
from cds_service.fhir.capability import Capabilities
from cds_service.fhir.client import (
    BAD_REQUEST,
    DEADLINE,
    GONE,
    NOT_FOUND,
    OTHER_SERVER,
    POST_REFUSED,
    Answer,
    FhirClient,
)
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

    ``aliases`` are other spellings of the base, which the server writes into its links (P-08). ``post_search``: search
    by POST until the server refuses (P-09). ``capabilities``: what is known of all servers, where it is kept.
    """

    def __init__(  # noqa: PLR0913 - the terms of one call
        self,
        client: FhirClient,
        base: str,
        token: str | None,
        deadline: float,
        *,
        aliases: tuple[str, ...] = (),
        post_search: bool = False,
        capabilities: Capabilities | None = None,
    ) -> None:
        self._client = client
        self._capabilities = capabilities
        self._capability = capabilities.of(base) if capabilities else None
        self._base = base
        self._token = token
        self._aliases = aliases
        self._post_search = post_search
        self._bytes = 0
        self.deadline = deadline

    def __repr__(self) -> str:
        return "FhirAccess()"

    def read(self, path_or_url: str) -> bytes:
        """A path under the base, or what a page or a resource refers to. Raises FhirReadError."""
        return self._read(self._resolve(path_or_url))

    def search(self, query: str) -> bytes:
        """The first page of a search (``Type?name=value``). Raises FhirReadError."""
        posted = f"{query.partition('?')[0]}/_search"
        if not self._post_search or self._was_refused(posted):
            return self._read(f"{self._base}/{query}")
        try:
            return self._count(self._client.post_search(self._base, query, self._token, self.deadline)).body
        except FinalFhirError as error:
            if error.cause not in POST_REFUSED:
                raise
            self.note_refused(posted)
            return self._read(f"{self._base}/{query}")

    def offers(self, resource: str) -> bool:
        """Whether the server is not known to lack this type (P-03)."""
        return self._capability is None or self._capability.offers(resource)

    def searches(self, queries: Iterable[Query]) -> tuple[Query, ...]:
        """The queries; in place of those that the server is known to refuse the plain one, once."""
        return tuple(dict.fromkeys(query if self._takes(query) else query.as_plain for query in queries))

    def note_refused(self, asked: str) -> None:
        """The server refused a way of searching: the next call need not try."""
        if self._capabilities is not None:
            self._capabilities.note_refused(self._base, asked)

    def _read(self, url: str) -> bytes:
        answer = self._count(self._client.get(self._base, url, self._token, self.deadline))
        return answer.body if answer.url == url else _as_merged(answer.body, url)

    def _takes(self, query: Query) -> bool:
        if query.plain is None:
            return True
        if self._was_refused(query.resource):
            return False
        return self._capability is None or self._capability.knows(query.resource, query.path)

    def _was_refused(self, asked: str) -> bool:
        return self._capabilities is not None and self._capabilities.was_refused(self._base, asked)

    def _count(self, answer: Answer) -> Answer:
        self._bytes += len(answer.body)
        if self._bytes > MAX_CALL_BYTES:
            raise FinalFhirError(TOO_MUCH)
        return answer

    def _resolve(self, path_or_url: str) -> str:
        for alias in self._aliases:
            if path_or_url == alias or path_or_url.startswith((f"{alias}/", f"{alias}?")):
                return self._base + path_or_url[len(alias) :]
        try:
            return urljoin(f"{self._base}/", path_or_url)
        except ValueError:  # brackets that hold no address
            raise FinalFhirError(OTHER_SERVER) from None


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
        try:
            return self._access.search(path)
        except FinalFhirError as error:
            if error.cause != BAD_REQUEST or path == plain:
                raise
            page = self._access.search(plain)
            # Only now is it known to be the parameters, and not this one chart.
            self._access.note_refused(self._query.resource)
            return page

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
