"""What ``atrophy-cds doctor`` looks at on a FHIR server: the same client, searches and reading as in a call."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NamedTuple

import msgspec

from cds_service.errors import FhirReadError
from cds_service.fhir.capability import METADATA, Capability, read_capability
from cds_service.fhir.client import Answer, FhirClient
from cds_service.fhir.reading.kinds import RESOURCES
from cds_service.prefetch.pages import medications_in, next_page
from cds_service.prefetch.plan import PrefetchPlan
from cds_service.record import SourceName

SECONDS = 20.0  # for one request: a server that is this slow is told so, not given up
SLOW_MS = 1000  # of the 1.8 s that a call has (P-10)
FAST_PAGES = 200  # entries; below that a long chart needs many requests
SKEW_SECONDS = 60  # P-31
FAR_SKEW_SECONDS = 300
MEDICATIONS_TRIED = 5
REQUIRED: frozenset[SourceName] = frozenset({"patient", "conditions"})

_WHAT = ("code", "medicationCodeableConcept")

Verdict = Literal["pass", "warn", "fail", "skipped"]


class Finding(msgspec.Struct, frozen=True):
    """One line of the report. ``advice`` says what to do, unless it passed. Never holds anything of a patient."""

    check: str
    verdict: Verdict
    found: str
    advice: str = ""
    milliseconds: float | None = None


class _Read(NamedTuple):
    answer: Answer | None
    cause: str
    milliseconds: float


class Doctor:
    """Examines one FHIR base. ``findings`` come one after another, so that progress can be shown."""

    def __init__(self, client: FhirClient, plan: PrefetchPlan, base: str, token: str | None) -> None:
        self._client = client
        self._plan = plan
        self._base = base.rstrip("/")
        self._token = token
        self._pages: dict[SourceName, bytes] = {}
        self._date: str | None = None

    def findings(self, patient_id: str | None, known_systems: Mapping[str, str]) -> Iterator[Finding]:
        """All checks. ``known_systems``: code systems that the rules use, by every spelling."""
        capability, finding = self._metadata()
        yield finding
        if capability is None and finding.verdict == "fail":
            return
        yield from self._capability(capability)
        yield self._clock()
        patient_id, finding = self._patient(patient_id)
        yield finding
        if patient_id is None:
            return
        for name in self._plan.reads.sources[1:]:
            yield self._search(name, patient_id)
        yield self._paging()
        yield self._medications()
        yield from self._code_systems(known_systems)

    def _read(self, path_or_url: str) -> _Read:
        started = time.monotonic()
        try:
            answer = self._client.get(self._base, path_or_url, self._token, started + SECONDS)
        except FhirReadError as error:
            return _Read(None, error.cause, (time.monotonic() - started) * 1000)
        return _Read(answer, "", (time.monotonic() - started) * 1000)

    def _metadata(self) -> tuple[Capability | None, Finding]:
        answer, cause, spent = self._read(METADATA)
        if answer is None:
            advice = {
                "server-not-allowed": "use https, or http on this machine",
                "tls": "its certificate is not trusted here: install the authority's",
                "not-fhir": "this is no FHIR base, or a login page stands before it",
            }.get(cause, "check the address; it must be the FHIR base, without a path behind it")
            return None, Finding("reachable", "fail", f"metadata cannot be read: {cause}", advice, spent)
        self._date = answer.date
        capability = read_capability(answer.body)
        if capability is None:
            advice = "every search is tried; what it refuses is asked plainly"
            return None, Finding("reachable", "warn", "no usable CapabilityStatement", advice, spent)
        return capability, Finding("reachable", "pass", f"{len(capability.types)} types of resource", "", spent)

    def _capability(self, capability: Capability | None) -> Iterator[Finding]:
        if capability is None:
            return
        version = capability.fhir_version
        if version.startswith("4.0"):
            yield Finding("FHIR version", "pass", version)
        else:
            yield Finding("FHIR version", "fail", version or "not said", "R4 (4.0.1) is needed (C41)")
        absent = [kind.__name__ for kind in RESOURCES.values() if not capability.offers(kind.__name__)]
        if {"Patient", "Condition"} & set(absent):
            yield Finding("types", "fail", f"not offered: {', '.join(absent)}", "Patient and Condition are required")
        elif absent:
            advice = "rules that read only these stay unknown; list them as `accepted_gaps`"
            yield Finding("types", "warn", f"not offered: {', '.join(absent)}", advice)
        else:
            yield Finding("types", "pass", "all that the rules read")
        today = datetime.now(UTC)
        lacking = sorted(
            kind.__name__
            for name, kind in RESOURCES.items()
            if capability.offers(kind.__name__)
            and not all(capability.knows(kind.__name__, q.path) for q in self._plan.queries(name, "x", today))
        )
        if lacking:
            advice = "these are searched by patient alone, which reads more"
            yield Finding("parameters", "warn", f"lacking for {', '.join(lacking)}", advice)
        else:
            yield Finding("parameters", "pass", "all that our searches use")

    def _clock(self) -> Finding:
        try:
            skew = abs((parsedate_to_datetime(self._date or "") - datetime.now(UTC)).total_seconds())
        except (TypeError, ValueError):
            return Finding("clock", "skipped", "the server sends no Date")
        said = f"{skew:.0f} s apart"
        if skew <= SKEW_SECONDS:
            return Finding("clock", "pass", said)
        verdict: Verdict = "warn" if skew <= FAR_SKEW_SECONDS else "fail"
        return Finding("clock", verdict, said, "set both clocks: tokens are refused and windows of hours go wrong")

    def _patient(self, patient_id: str | None) -> tuple[str | None, Finding]:
        asked = f"Patient/{patient_id}" if patient_id else "Patient?_count=1"
        answer, cause, spent = self._read(asked)
        if answer is None:
            advice = "name one with --patient, and check the token's scope" if not patient_id else "check id and scope"
            return None, Finding("Patient", "fail", f"cannot be read: {cause}", advice, spent)
        if patient_id:
            return patient_id, Finding("Patient", "pass", "read by id", "", spent)
        found = [r["id"] for r in _resources(answer.body) if r.get("resourceType") == "Patient" and "id" in r]
        if not found:
            advice = "name one with --patient; the searches below need a patient"
            return None, Finding("Patient", "warn", "the search found nobody", advice, spent)
        return str(found[0]), Finding("Patient", "pass", "the first that a search finds", "", spent)

    def _search(self, name: SourceName, patient_id: str) -> Finding:
        """The first of our searches for a source, and plainly when the server refuses it."""
        query = self._plan.queries(name, patient_id, datetime.now(UTC))[0]
        answer, cause, spent = self._read(query.path)
        refused = cause == "bad-request" and query.plain is not None
        if refused and query.plain is not None:
            answer, cause, spent = self._read(query.plain)
        check = f"search {RESOURCES[name].__name__}"
        if answer is None:
            verdict: Verdict = "fail" if name in REQUIRED or cause != "not-found" else "warn"
            return Finding(check, verdict, cause, _advice_on(cause), spent)
        self._pages[name] = answer.body
        found = f"{len(_resources(answer.body))} on the first page"
        if refused:
            return Finding(check, "warn", f"{found}, by patient alone", "a parameter was refused (400)", spent)
        if spent > SLOW_MS:
            return Finding(check, "warn", found, "slow: a call has 1.8 s for all; index it or prefetch it", spent)
        return Finding(check, "pass", found, "", spent)

    def _paging(self) -> Finding:
        for page in self._pages.values():
            following = next_page(page)
            if following is None:
                continue
            answer, cause, spent = self._read(following.url)
            if answer is None:
                return Finding("paging", "fail", f"the next page cannot be read: {cause}", _advice_on(cause), spent)
            size = following.entries
            if size < FAST_PAGES:
                advice = "long charts need many requests: allow larger pages, or prefetch"
                return Finding("paging", "warn", f"{size} entries to a page whatever is asked", advice, spent)
            return Finding("paging", "pass", f"{size} entries to a page", "", spent)
        return Finding("paging", "skipped", "this patient's chart fits into one page; try one with a long chart")

    def _medications(self) -> Finding:
        wanted = medications_in(self._pages.values())
        missing = sorted(wanted.wanted)[:MEDICATIONS_TRIED]
        if not missing:
            return Finding("Medication", "skipped", "no reference to one in this chart")
        read = sum(self._read(reference).answer is not None for reference in missing)
        said = f"{read} of {len(missing)} references read"
        advice = "give the token Medication.read: without it a drug is known by its display only"
        return Finding("Medication", "pass" if read == len(missing) else "warn", said, advice)

    def _code_systems(self, known_systems: Mapping[str, str]) -> Iterator[Finding]:
        """How many codings of each system stand in the chart, and whether the rules know the system."""
        counted: Counter[str] = Counter()
        for page in self._pages.values():
            for resource in _resources(page):
                counted.update(_systems(resource))
        for system, number in counted.most_common(20):
            known = known_systems.get(system)
            found = f"{number} codings"
            if known:
                yield Finding(f"codes: {known}", "pass", found)
            else:
                yield Finding(f"codes: {system}", "skipped", f"{found}; not a system that the rules use")
        if counted and not any(system in known_systems for system in counted):
            advice = "the rules know SNOMED CT, LOINC, RxNorm and ICD-10-CM: map the local codes"
            yield Finding("codes", "fail", "no coding of a known system", advice)


def _advice_on(cause: str) -> str:
    return {
        "unauthorized": "the token is not accepted or has expired",
        "forbidden": "the token's scope lacks this type",
        "not-found": "not offered: list it as an accepted gap",
        "timeout": f"no answer within {SECONDS:.0f} s: prefetch it",
        "other-server": "its link leads to another address: list that as an `alias`",
        "gone": "the link expires at once",
    }.get(cause, "look into the server's log")


def _resources(page: bytes) -> list[dict[str, Any]]:
    try:
        bundle = msgspec.json.decode(page)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return []
    entries = bundle.get("entry") if isinstance(bundle, dict) else None
    found = [entry.get("resource") for entry in entries or () if isinstance(entry, dict)]
    return [resource for resource in found if isinstance(resource, dict)]


def _systems(resource: dict[str, Any]) -> Iterator[str]:
    """The system of every coding that says what a resource is about."""
    for name in _WHAT:
        concept = resource.get(name)
        for coding in (concept.get("coding") or ()) if isinstance(concept, dict) else ():
            if isinstance(coding, dict) and isinstance(coding.get("system"), str):
                yield coding["system"]
