"""From what came as prefetch to what the reader needs: kept, followed to its last page, or fetched (C31, P-07)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Literal

import msgspec

from cds_service.cds_hooks.request import HookRequest
from cds_service.errors import FhirReadError
from cds_service.fhir.client import FhirClient
from cds_service.fhir.connections import NOT_ALLOWED
from cds_service.fhir.outcomes import ALL_SEEN, Verdict, verdict_on_value
from cds_service.fhir.reader import SourcePayload
from cds_service.fhir.reading.identity import id_in_url
from cds_service.fhir.reading.kinds import RESOURCES
from cds_service.fhir.reading.pages import UNREADABLE
from cds_service.fhir.resources import OperationOutcome
from cds_service.prefetch.fetching import FhirServer, Strand
from cds_service.prefetch.pages import MEDICATION, Page, is_null, medications_in, next_page, resource_type
from cds_service.prefetch.plan import PrefetchPlan
from cds_service.prefetch.scopes import Grant, grant
from cds_service.record import MEDICATION_SOURCES, SourceName, SourceState

NO_SERVER = "no-fhir-server"
NO_TOKEN = "no-token"  # noqa: S105 - a word, no secret
NOT_IN_SCOPE = "not-in-scope"
SCOPE_IS_PART = "scope-is-part"
ACCEPTED_GAP = "accepted-gap"
MORE_PAGES = "more-pages"
MEDICATION_NOT_READ = "medication-not-read"
MAX_MEDICATIONS = 50  # P-09
_OUTCOME = "OperationOutcome"
_BUNDLE = "Bundle"
_WORSE = (SourceState.COMPLETE, SourceState.NOT_OFFERED, SourceState.INCOMPLETE, SourceState.FAILED)


class FetchTerms(msgspec.Struct, frozen=True):
    """What is agreed with a CDS Client about its FHIR server.

    ``anonymous``: read without a token (P-25). ``aliases``: other spellings of its base (P-08). ``accepted_gaps``:
    sources it is known not to offer (P-03). ``retry_failed_prefetch``: fetch what came as an error (P-07).
    """

    anonymous: bool = False
    aliases: tuple[str, ...] = ()
    accepted_gaps: frozenset[SourceName] = frozenset()
    retry_failed_prefetch: bool = False


OPEN_MODE = FetchTerms(anonymous=True)  # P-24


def complete(  # noqa: PLR0913 - one call: what came, what is wanted, from where, when and until when
    request: HookRequest,
    *,
    plan: PrefetchPlan,
    client: FhirClient,
    as_of: datetime,
    deadline: float,
    allowed: Callable[[str], bool],
    terms: FetchTerms = OPEN_MODE,
) -> tuple[SourcePayload, ...]:
    """One payload for each source of the plan, at the latest at ``deadline`` (monotonic seconds).

    ``allowed`` says whether a FHIR base may be contacted at all (P-25); it is asked only when something is missing.
    """
    call = _Call(request, client, deadline, allowed, terms)
    came = dict(request.prefetch.present()) if request.prefetch else {}
    gatherings = [_Gathering(name, came.get(name), plan, call, as_of) for name in plan.reads.sources]
    strands = [strand.run for gathering in gatherings for strand in gathering.strands]
    if strands:
        client.side_by_side(strands, deadline)
    _add_medications([g for g in gatherings if g.name in MEDICATION_SOURCES], call, client)
    return tuple(gathering.payload() for gathering in gatherings)


class _Call:
    """The FHIR server of one call, if it may be read."""

    def __init__(
        self,
        request: HookRequest,
        client: FhirClient,
        deadline: float,
        allowed: Callable[[str], bool],
        terms: FetchTerms,
    ) -> None:
        self.patient_id = request.patient_id
        self.terms = terms
        self._base = request.fhir_server
        self._authorization = request.authorization
        self._client = client
        self._deadline = deadline
        self._allowed = allowed

    @functools.cached_property
    def server(self) -> FhirServer | str:
        """The server, or the cause why nothing can be read from one."""
        if self._base is None:
            return NO_SERVER
        if not self._allowed(self._base):
            return NOT_ALLOWED
        if self._authorization is None and not self.terms.anonymous:
            return NO_TOKEN
        token = self._authorization.access_token if self._authorization else None
        return FhirServer(self._client, self._base, token, self._deadline, self.terms.aliases)

    def grant(self, resource: str, access: Literal["r", "s"]) -> Grant:
        """Whether the token is known to let this type be read."""
        return grant(self._authorization.scope, resource, access) if self._authorization else Grant.UNKNOWN


class _Gathering:
    """One source while its pages come together."""

    def __init__(self, name: SourceName, value: Page | None, plan: PrefetchPlan, call: _Call, as_of: datetime) -> None:
        self.name = name
        self.origin: Literal["prefetch", "fetch", "none"] = "prefetch"
        self.strands: tuple[Strand, ...] = ()
        self._queries = functools.partial(plan.queries, name, call.patient_id, as_of)
        self._pages: tuple[Page, ...] = ()
        self._verdicts: list[Verdict] = []
        if value is not None and self._is_usable(value, call):
            self._keep(value, call)
        else:
            self._fetch(value, call)

    @property
    def pages(self) -> tuple[Page, ...]:
        """All pages so far, those that came as prefetch first."""
        return self._pages + tuple(page for strand in self.strands for page in strand.pages)

    def worsen(self, cause: str) -> None:
        """Not all of this source was seen."""
        self._verdicts.append(Verdict(SourceState.INCOMPLETE, cause))

    def add(self, page: Page) -> None:
        """Add a page that belongs to this source."""
        self._pages += (page,)

    def payload(self) -> SourcePayload:
        """What there is now."""
        fetched = _worst([strand.verdict for strand in self.strands])  # before their pages: see Strand
        pages = self.pages
        if pages and fetched.state in (SourceState.FAILED, SourceState.NOT_OFFERED):  # one of several searches
            fetched = Verdict(SourceState.INCOMPLETE, fetched.cause)
        verdict = _worst([*self._verdicts, fetched])
        return SourcePayload(self.name, self.origin, verdict.state, pages, verdict.cause)

    def _is_usable(self, value: Page, call: _Call) -> bool:
        """Whether a prefetch value stands: null is "nothing found" but never "no patient" (C34, P-06, P-07)."""
        if is_null(value):
            return self.name != "patient"
        kind = resource_type(value)
        if kind == _OUTCOME and call.terms.retry_failed_prefetch:
            return not _has_failed(value)
        return kind in ("", _BUNDLE, _OUTCOME, RESOURCES[self.name].__name__)

    def _keep(self, value: Page, call: _Call) -> None:
        if is_null(value):
            return
        self._pages = (value,)
        following = next_page(value)
        if following is None:
            return
        if isinstance(call.server, FhirServer):
            self.strands = tuple(Strand(call.server, query, following.url) for query in self._queries()[:1])
        else:
            self.worsen(MORE_PAGES)

    def _fetch(self, value: Page | None, call: _Call) -> None:
        server = call.server
        if not isinstance(server, FhirServer):
            # A value that cannot be used and cannot be had otherwise: the reader says what is wrong with it.
            self._pages = (value,) if value is not None else ()
            self.origin = "prefetch" if self._pages else "none"
            self._verdicts.append(Verdict(SourceState.FAILED, server))
            return
        granted = call.grant(RESOURCES[self.name].__name__, "r" if self.name == "patient" else "s")
        gap = ACCEPTED_GAP if self.name in call.terms.accepted_gaps else NOT_IN_SCOPE
        if gap == ACCEPTED_GAP or granted is Grant.NONE:
            self.origin = "none"
            self._verdicts.append(Verdict(SourceState.NOT_OFFERED, gap))
            return
        self.origin = "fetch"
        self.strands = tuple(Strand(server, query) for query in self._queries())
        if granted is Grant.PART:
            self.worsen(SCOPE_IS_PART)


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    return max(verdicts, key=lambda verdict: _WORSE.index(verdict.state), default=ALL_SEEN)


def _has_failed(value: Page) -> bool:
    try:
        outcome = msgspec.json.decode(value, type=OperationOutcome)
    except UNREADABLE:
        return True
    return verdict_on_value(outcome).state is SourceState.FAILED


def _add_medications(gatherings: Sequence[_Gathering], call: _Call, client: FhirClient) -> None:
    """Second stage (P-09): the Medications that medication resources refer to and no page carries, each read once."""
    found = [medications_in(gathering.pages) for gathering in gatherings]
    carried = frozenset().union(*(medications.carried for medications in found))
    wanted: dict[str, list[_Gathering]] = {}
    for gathering, medications in zip(gatherings, found, strict=True):
        for reference in sorted(medications.wanted):
            if id_in_url(reference, MEDICATION) not in carried:
                wanted.setdefault(reference, []).append(gathering)
    if not wanted or not isinstance(call.server, FhirServer) or call.grant(MEDICATION, "r") is Grant.NONE:
        return  # the reader makes do with the words of each reference
    came = _read_each(list(wanted)[:MAX_MEDICATIONS], call.server, client)
    for reference, referring in wanted.items():
        page = came.get(reference)
        if page is not None:
            referring[0].add(page)  # the reader looks for a Medication in the pages of all sources
        else:
            for gathering in referring:
                gathering.worsen(MEDICATION_NOT_READ)


def _read_each(references: Iterable[str], server: FhirServer, client: FhirClient) -> dict[str, bytes]:
    """What could be read until the deadline."""
    came: dict[str, bytes] = {}

    def read(reference: str) -> None:
        with suppress(FhirReadError):
            came[reference] = server.read(reference)

    client.side_by_side([functools.partial(read, reference) for reference in references], server.deadline)
    return dict(came)
