"""What ``atrophy-cds doctor`` looks at on a FHIR server: the same client, searches and reading as in a call."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from cds_service.cds_hooks.request import is_fhir_id
from cds_service.cli.doctor_codes import CodeSystems, decoded, resources_in
from cds_service.cli.doctor_finding import Finding, Verdict, advice_on, plainly
from cds_service.coding import Vocabulary
from cds_service.errors import DataNotAvailable, FhirReadError
from cds_service.fhir.capability import METADATA, Capability, read_capability
from cds_service.fhir.client import BAD_REQUEST, NOT_FOUND, POST_REFUSED, FhirClient
from cds_service.fhir.reader import NO_KNOWN_CODE_SYSTEM, SourcePayload, read_record
from cds_service.fhir.reading.kinds import RESOURCES
from cds_service.prefetch.fetching import PAGE_LOOP, FhirAccess
from cds_service.prefetch.pages import MEDICATION, medications_in, next_page, resource_type
from cds_service.prefetch.plan import PrefetchPlan, Query
from cds_service.record import Source, SourceName, SourceState

SECONDS = 20.0  # for one request: a server that is this slow is told so, not given up
SLOW_MS = 1000  # of the 1.8 s that a call has (P-10)
FAST_PAGES = 200  # entries; below that a long chart needs many requests
SKEW_SECONDS = 60  # P-31
FAR_SKEW_SECONDS = 300
MEDICATIONS_TRIED = 5
REQUIRED: frozenset[SourceName] = frozenset({"patient", "conditions"})
NEEDS_A_PATIENT = ("searches", "paging", "Medication", "codes")
# What a server answers that lets nobody look for patients without their names.
_NO_SEARCH = POST_REFUSED | {"refused"}


class _Read(NamedTuple):
    body: bytes | None
    cause: str
    milliseconds: float


class Doctor:
    """Examines one FHIR base. ``findings`` come one after another, so that progress can be shown.

    ``not_offered`` grows with them (P-03).
    """

    def __init__(  # noqa: PLR0913 - what is examined, with what, and what it is judged by
        self,
        client: FhirClient,
        plan: PrefetchPlan,
        base: str,
        token: str | None,
        *,
        vocabulary: Vocabulary,
        code_systems: CodeSystems,
    ) -> None:
        self.not_offered: set[SourceName] = set()
        self._client = client
        self._plan = plan
        self._base = base
        self._token = token
        self._vocabulary = vocabulary
        self._code_systems = code_systems
        self._pages: dict[SourceName, tuple[bytes, ...]] = {}
        self._date: str | None = None
        self._now = datetime.now(UTC)

    def findings(self, patient_id: str | None) -> Iterator[Finding]:
        """All checks, for this patient or the first that the server finds."""
        capability, finding = self._metadata()
        yield finding
        if finding.verdict == "fail":
            yield Finding("all else", "skipped", "not looked at", "mend the above first")
            return
        yield from self._capability(capability)
        yield self._clock()
        patient_id, finding = self._patient(patient_id)
        yield finding
        if patient_id is None:
            advice = "name a patient that can be read with --patient"
            yield from (Finding(check, "skipped", "not checked without a patient", advice) for check in NEEDS_A_PATIENT)
            return
        for name in self._plan.reads.sources[1:]:
            yield self._search(name, patient_id)
        yield self._post_search(patient_id)
        yield self._paging()
        yield self._medications()
        for pages in self._pages.values():
            self._code_systems.count(resource for page in pages for resource in resources_in(page))
        yield from self._code_systems.findings()

    def _read(self, path_or_url: str) -> _Read:
        started = time.monotonic()
        access = FhirAccess(self._client, self._base, self._token, started + SECONDS)
        try:
            body, cause = access.read(path_or_url), ""
        except FhirReadError as error:
            body, cause = None, error.cause
        return _Read(body, cause, (time.monotonic() - started) * 1000)

    def _metadata(self) -> tuple[Capability | None, Finding]:
        started = time.monotonic()
        try:
            answer = self._client.get(self._base, METADATA, self._token, started + SECONDS)
        except FhirReadError as error:
            advice = {
                "server-not-allowed": "use https, or http on this machine",
                "tls": "its certificate is not trusted here: install the authority's",
                "not-fhir": "this is no FHIR base, or a login page stands before it, or it sends no JSON",
                "unauthorized": advice_on("unauthorized"),
            }.get(error.cause, "check the address; it must be the FHIR base, without a path behind it")
            return None, Finding("reachable", "fail", f"metadata cannot be read: {error.cause}", advice)
        spent = (time.monotonic() - started) * 1000
        self._date = answer.date
        capability = read_capability(answer.body)
        if capability is None:
            advice = "every search is tried; what it refuses is asked plainly"
            return None, Finding("reachable", "warn", "no usable CapabilityStatement", advice, spent)
        return capability, Finding("reachable", "pass", f"{len(capability.types)} types of resource", "", spent)

    def _capability(self, capability: Capability | None) -> Iterator[Finding]:
        if capability is None:
            return
        version = plainly(capability.fhir_version) if capability.fhir_version else "not said"
        if version.startswith("4.0."):
            yield Finding("FHIR version", "pass", version)
        else:
            yield Finding("FHIR version", "fail", version, "R4 (4.0.1) is needed")
        self.not_offered |= {
            name for name in self._plan.reads.sources if not capability.offers(RESOURCES[name].__name__)
        }
        absent = ", ".join(RESOURCES[name].__name__ for name in self._plan.reads.sources if name in self.not_offered)
        if REQUIRED & self.not_offered:
            yield Finding("types", "fail", f"not listed: {absent}", "Patient and Condition are required")
        elif absent:
            advice = "rules that read only these stay unknown; list them as `accepted_gaps`"
            yield Finding("types", "warn", f"not listed: {absent}", advice)
        else:
            yield Finding("types", "pass", "all that the rules read")
        yield self._parameters(capability)

    def _parameters(self, capability: Capability) -> Finding:
        lacking = [
            RESOURCES[name].__name__
            for name in self._plan.reads.sources
            if not all(
                capability.knows(query.resource, query.path) for query in self._plan.queries(name, "x", self._now)
            )
        ]
        if not lacking:
            return Finding("parameters", "pass", "all that our searches use")
        advice = "these are searched by patient alone, which reads more"
        return Finding("parameters", "warn", f"lacking for {', '.join(lacking)}", advice)

    def _clock(self) -> Finding:
        try:
            skew = abs((parsedate_to_datetime(self._date or "") - datetime.now(UTC)).total_seconds())
        except (TypeError, ValueError):
            return Finding("clock", "skipped", "the server sends no Date", "compare both clocks by hand")
        said = f"{skew:.0f} s apart"
        if skew <= SKEW_SECONDS:
            return Finding("clock", "pass", said)
        verdict: Verdict = "warn" if skew <= FAR_SKEW_SECONDS else "fail"
        return Finding("clock", verdict, said, "set both clocks: tokens are refused and windows of hours go wrong")

    def _patient(self, patient_id: str | None) -> tuple[str | None, Finding]:
        """The patient to search for: read as in a call, so that its id is known to be good."""
        if patient_id is None:
            patient_id, finding = self._somebody()
            if patient_id is None:
                return None, finding
        body, cause, spent = self._read(f"Patient/{patient_id}")
        if body is None:
            advice = "check the id and the token's scope"
            return None, Finding("Patient", "fail", f"cannot be read: {cause}", advice, spent)
        self._pages["patient"] = (body,)
        try:
            source = self._as_in_a_call("patient", patient_id)
        except DataNotAvailable:
            return None, Finding("Patient", "fail", "another patient came", "the server must answer for the id", spent)
        if source.state is not SourceState.COMPLETE:
            cause = source.cause or source.state
            return None, Finding("Patient", "fail", f"cannot be used: {cause}", advice_on(cause), spent)
        return patient_id, Finding("Patient", "pass", "read by id", "", spent)

    def _somebody(self) -> tuple[str | None, Finding]:
        advice = "name one with --patient"
        body, cause, spent = self._read("Patient?_count=1")
        if body is None:
            verdict: Verdict = "warn" if cause in _NO_SEARCH else "fail"
            return None, Finding("Patient", verdict, f"none can be looked for: {cause}", advice, spent)
        ids = (str(found.get("id")) for found in resources_in(body) if found.get("resourceType") == "Patient")
        patient_id = next(filter(is_fhir_id, ids), None)
        return patient_id, Finding("Patient", "warn", "the search found nobody", advice, spent)

    def _search(self, name: SourceName, patient_id: str) -> Finding:
        """All our searches for a source, each plainly when the server refuses it, and what a call makes of them."""
        check = f"search {RESOURCES[name].__name__}"
        queries = self._plan.queries(name, patient_id, self._now)
        searched = [self._first_page(query) for query in queries]
        spent = max(read.milliseconds for read, _ in searched)
        unread = next((read.cause for read, _ in searched if read.body is None), None)
        if unread is not None:
            return self._not_read(check, name, unread, spent)
        self._pages[name] = tuple(read.body for read, _ in searched if read.body is not None)
        found = f"{sum(len(resources_in(page)) for page in self._pages[name])} on the first page"
        source = self._as_in_a_call(name, patient_id)
        # Whether the codes are known is a question of its own, below.
        if source.state is not SourceState.COMPLETE and source.cause != NO_KNOWN_CODE_SYSTEM.cause:
            cause = source.cause or source.state
            failed: Verdict = "fail" if source.state is SourceState.FAILED else "warn"
            return Finding(check, failed, f"{found}: {cause}", advice_on(cause), spent)
        if name in self.not_offered:
            advice = "have its CapabilityStatement list it: what is not listed is not asked for"
            return Finding(check, "warn", f"{found}, though not listed", advice, spent)
        if any(is_plain for _, is_plain in searched):
            return Finding(check, "warn", f"{found}, by patient alone", "a parameter was refused (400)", spent)
        if spent > SLOW_MS:
            return Finding(check, "warn", found, "slow: a call has 1.8 s for all; index it or prefetch it", spent)
        return Finding(check, "pass", found, "", spent)

    def _first_page(self, query: Query) -> tuple[_Read, bool]:
        """What came, and whether it was asked for plainly."""
        read = self._read(query.path)
        if read.cause == BAD_REQUEST and query.plain is not None:
            return self._read(query.plain), True
        return read, False

    def _not_read(self, check: str, name: SourceName, cause: str, spent: float) -> Finding:
        is_gap = cause == NOT_FOUND or name in self.not_offered
        if is_gap:
            self.not_offered.add(name)
        verdict: Verdict = "warn" if is_gap and name not in REQUIRED else "fail"
        return Finding(check, verdict, cause, advice_on(cause), spent)

    def _as_in_a_call(self, name: SourceName, patient_id: str) -> Source:
        """What the reader says of the pages of a source."""
        payload = SourcePayload(name, "fetch", SourceState.COMPLETE, self._pages[name])
        record = read_record((payload,), patient_id, vocabulary=self._vocabulary, as_of=self._now)
        return record.sources[name]

    def _post_search(self, patient_id: str) -> Finding:
        query = self._plan.queries("conditions", patient_id, self._now)[0]
        started = time.monotonic()
        try:
            self._client.post_search(self._base, query.plain or query.path, self._token, started + SECONDS)
        except FhirReadError as error:
            if error.cause in POST_REFUSED:
                return Finding("search by POST", "pass", f"not taken ({error.cause}): GET is used")
            return Finding("search by POST", "warn", error.cause, "leave `post_search` off: GET is used")
        spent = (time.monotonic() - started) * 1000
        return Finding("search by POST", "pass", "taken: `post_search` may be set for it", "", spent)

    def _paging(self) -> Finding:
        for page in (page for pages in self._pages.values() for page in pages):
            following = next_page(page)
            if following is None:
                continue
            body, cause, spent = self._read(following.url)
            further = next_page(body) if body is not None else None
            if body is not None and resource_type(body) != "Bundle":
                cause = "wrong-resource-type"
            elif further is not None and further.url == following.url:
                cause = PAGE_LOOP
            if cause:
                return Finding("paging", "fail", f"the next page cannot be read: {cause}", advice_on(cause), spent)
            size = following.entries
            if size < FAST_PAGES:
                advice = "long charts need many requests: allow larger pages, or prefetch"
                return Finding("paging", "warn", f"{size} entries to a page whatever is asked", advice, spent)
            return Finding("paging", "pass", f"{size} entries to a page", "", spent)
        return Finding("paging", "skipped", "this patient's chart fits into one page", "try one with a long chart")

    def _medications(self) -> Finding:
        found = medications_in(page for pages in self._pages.values() for page in pages)
        wanted = sorted(found.wanted)[:MEDICATIONS_TRIED]
        if not wanted:
            return Finding("Medication", "skipped", "no reference to one in this chart", "try a chart that has one")
        bodies = [read.body for read in map(self._read, wanted) if read.body is not None]
        medications = [drug for drug in map(decoded, bodies) if drug.get("resourceType") == MEDICATION]
        self._code_systems.count(medications)
        said = f"{len(medications)} of {len(wanted)} references read"
        if len(medications) == len(wanted):
            return Finding("Medication", "pass", said)
        advice = "give the token Medication.read: without it a drug is known by its display only"
        return Finding("Medication", "warn", said, advice)
