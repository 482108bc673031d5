"""One source while its pages come together: kept as they came, followed to the last page, or fetched (P-06, P-07)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Literal

import msgspec

from cds_service.fhir.client import DEADLINE
from cds_service.fhir.in_flight import InFlight
from cds_service.fhir.outcomes import ALL_SEEN, Verdict, verdict_on_value
from cds_service.fhir.reader import SourcePayload
from cds_service.fhir.reading.kinds import RESOURCES
from cds_service.fhir.reading.pages import UNREADABLE
from cds_service.fhir.resources import OperationOutcome
from cds_service.prefetch.access import Call
from cds_service.prefetch.fetching import FhirAccess, Strand
from cds_service.prefetch.pages import Page, is_null, next_page, resource_type
from cds_service.prefetch.plan import PrefetchPlan, Query
from cds_service.prefetch.scopes import Grant
from cds_service.record import SourceName, SourceState

NOT_IN_SCOPE = "not-in-scope"
SCOPE_IS_PART = "scope-is-part"
ACCEPTED_GAP = "accepted-gap"
NOT_IN_CAPABILITY = "not-in-capability-statement"
MORE_PAGES = "more-pages"
CUT_OFF = Verdict(SourceState.INCOMPLETE, DEADLINE)
_OUTCOME = "OperationOutcome"
_BUNDLE = "Bundle"
_WORSE = (SourceState.COMPLETE, SourceState.NOT_OFFERED, SourceState.INCOMPLETE, SourceState.FAILED)


class Gathering:
    """One source while its pages come together."""

    def __init__(self, name: SourceName, value: Page | None, plan: PrefetchPlan, call: Call, as_of: datetime) -> None:
        self.name = name
        self.origin: Literal["prefetch", "fetch", "none"] = "prefetch"
        self.strands: tuple[Strand, ...] = ()
        self._queries = functools.partial(plan.queries, name, call.patient_id, as_of)
        self._pages: tuple[Page, ...] = ()
        self._verdicts: list[Verdict] = []
        self._ended: set[Strand] = set()
        if value is not None and self._is_usable(value, call):
            self._keep(value, call)
        else:
            self._fetch(value, call)

    def start(self, in_flight: InFlight, look_through: Callable[[Gathering], None]) -> None:
        """Begin to fetch what is missing. ``look_through`` is called when there are pages to look through."""
        if self._pages:
            look_through(self)
        for strand in self.strands:
            in_flight.add(functools.partial(self._run, strand, look_through))

    def _run(self, strand: Strand, look_through: Callable[[Gathering], None]) -> None:
        strand.run()
        if strand.pages:
            look_through(self)
        self._ended.add(strand)

    def stop(self) -> None:
        """Nothing that comes from now on is taken; a strand that has not quite ended was cut off."""
        verdicts = [
            strand.verdict if strand in self._ended or strand.verdict != ALL_SEEN else CUT_OFF
            for strand in self.strands
        ]
        fetched = _worst(verdicts)  # before the pages: see Strand
        self._pages = self.pages
        self.strands = ()
        if self._pages and fetched.state in (SourceState.FAILED, SourceState.NOT_OFFERED):
            fetched = Verdict(SourceState.INCOMPLETE, fetched.cause)  # one of several searches
        self._verdicts.append(fetched)

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
        """What was gathered. To be asked for after ``stop``."""
        verdict = _worst(self._verdicts)
        return SourcePayload(self.name, self.origin, verdict.state, self._pages, verdict.cause)

    def _is_usable(self, value: Page, call: Call) -> bool:
        """Whether a prefetch value stands: null is "nothing found" but never "no patient" (C34, P-06, P-07)."""
        if is_null(value):
            return self.name != "patient"
        kind = resource_type(value)
        if kind == _OUTCOME and call.terms.retry_failed_prefetch:
            return not _has_failed(value)
        return kind in ("", _BUNDLE, _OUTCOME, RESOURCES[self.name].__name__)

    def _keep(self, value: Page, call: Call) -> None:
        if is_null(value):
            return
        self._pages = (value,)
        following = next_page(value)
        if following is None:
            return
        if isinstance(call.access, FhirAccess):
            self.strands = tuple(Strand(call.access, query, following.url) for query in self._searches(call.access)[:1])
        else:
            self.worsen(MORE_PAGES)

    def _fetch(self, value: Page | None, call: Call) -> None:
        server = call.access
        if not isinstance(server, FhirAccess):
            # A value that cannot be used and cannot be had otherwise: the reader says what is wrong with it.
            self._pages = (value,) if value is not None else ()
            self.origin = "prefetch" if self._pages else "none"
            self._verdicts.append(Verdict(SourceState.FAILED, server))
            return
        resource = RESOURCES[self.name].__name__
        granted = call.grant(resource, "r" if self.name == "patient" else "s")
        if gap := self._known_gap(server, resource, granted, call):
            self.origin = "none"
            self._verdicts.append(Verdict(SourceState.NOT_OFFERED, gap))
            return
        self.origin = "fetch"
        self.strands = tuple(Strand(server, query) for query in self._searches(server))
        if granted is Grant.PART:
            self.worsen(SCOPE_IS_PART)

    def _searches(self, server: FhirAccess) -> tuple[Query, ...]:
        return server.searches(self._queries())

    def _known_gap(self, server: FhirAccess, resource: str, granted: Grant, call: Call) -> str | None:
        """Why this source need not even be asked for (P-03)."""
        if self.name in call.terms.accepted_gaps:
            return ACCEPTED_GAP
        if granted is Grant.NONE:
            return NOT_IN_SCOPE
        return None if server.offers(resource) else NOT_IN_CAPABILITY


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    return max(verdicts, key=lambda verdict: _WORSE.index(verdict.state), default=ALL_SEEN)


def _has_failed(value: Page) -> bool:
    try:
        outcome = msgspec.json.decode(value, type=OperationOutcome)
    except UNREADABLE:
        return True
    return verdict_on_value(outcome).state is SourceState.FAILED
