"""One patient being asked about: facts, what is known of each source, and the answers given so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from cds_service.derive.findings import Finding
from cds_service.derive.measurements import Measurement
from cds_service.derive.steroid_courses import DURATION_ASSUMED, Course
from cds_service.partial_date import PartialDate
from cds_service.record import (
    MEDICATION_SOURCES,
    ActivityEntry,
    ConditionEntry,
    FamilyHistoryEntry,
    ObservationEntry,
    SourceName,
    SourceState,
    VisitEntry,
)
from cds_service.rule_engine.expression import FALSE, TRUE
from cds_service.rule_engine.model import Assessment, Fact, Facts, Rule, Verdict

Entry = ConditionEntry | Finding | ObservationEntry | ActivityEntry | VisitEntry | FamilyHistoryEntry
Criteria = Mapping[str, Callable[["Inquiry"], Verdict]]
_SEEN = (SourceState.COMPLETE, SourceState.NOT_NEEDED)
MEDICATIONS = "medications"


class Inquiry:
    """Answers criteria by name for one rule, each at most once. ``taken`` maps a rule id to the findings it took."""

    def __init__(
        self, facts: Facts, criteria: Criteria, shared: dict[str, Verdict], earlier: Mapping[str, Assessment]
    ) -> None:
        self.facts = facts
        self.as_of = facts.as_of
        self.record = facts.record
        self.earlier = earlier
        self._criteria = criteria
        self._answers = dict(shared)

    def ask(self, name: str) -> Verdict:
        """The verdict of the criterion of that name."""
        answer = self._answers.get(name)
        if answer is None:
            answer = self._answers[name] = self._criteria[name](self)
        return answer

    def why_not(self, rule: Rule, pattern: Iterable[str], most: int) -> str:
        """In the words of the criteria of the rule's pattern, what was asked for and not found."""
        asked = [name for name in pattern if name in rule.criteria and self._answers.get(name, TRUE).value is False]
        return "not found: " + "; ".join(rule.criteria[name].says for name in asked[:most])

    def verdict(self, entries: Iterable[Entry], sources: Iterable[SourceName]) -> Verdict:
        """True with facts when entries were found; else false, or unknown where a source was not seen whole (P-03)."""
        found = tuple(entries)
        if found:
            return Verdict(True, tuple(fact_of(entry) for entry in found), found)
        missing = tuple(name for name in sources if self.record.state(name) not in _SEEN)
        return Verdict(None, missing=missing) if missing else FALSE

    def medications_seen(self) -> bool:
        """The four medication sources are one group: one failed member, or none offered, and it was not seen (P-03)."""
        states = [self.record.state(name) for name in MEDICATION_SOURCES]
        if any(s in (SourceState.FAILED, SourceState.INCOMPLETE) for s in states):
            return False
        return any(s is not SourceState.NOT_OFFERED for s in states)


def onset_of(entry: object) -> PartialDate | None:
    """When a finding began: onset, else when it was recorded."""
    match entry:
        case ConditionEntry() | Finding():
            return entry.onset or entry.recorded
        case ObservationEntry():
            return entry.effective
        case ActivityEntry():
            return entry.date
        case VisitEntry():
            return entry.start
        case _:
            return None


def newest_onset(entries: Iterable[object]) -> PartialDate | None:
    """The newest onset among entries; None when none is dated."""
    return max((onset for entry in entries if (onset := onset_of(entry)) is not None), default=None)


def fact_of(entry: Entry) -> Fact:
    """The dated fact that an entry stands for."""
    if isinstance(entry, Finding):
        return fact_of(entry.entry) if entry.measurement is None else _measured(entry.measurement)
    if isinstance(entry, ConditionEntry):
        dated, kind = (entry.onset, "onset") if entry.onset else (entry.recorded, "recorded")
        return _fact(entry, dated, kind if dated else None)
    if isinstance(entry, ActivityEntry):
        return _fact(entry, entry.date, "ordered" if entry.resource_type == "ServiceRequest" else "done")
    return _other_fact(entry)


def _other_fact(entry: ObservationEntry | VisitEntry | FamilyHistoryEntry) -> Fact:
    if isinstance(entry, ObservationEntry):
        value = None if entry.value is None else f"{entry.value:g} {entry.unit or ''}".strip()
        return _observed(entry, value, None)
    if isinstance(entry, VisitEntry):
        return Fact(entry.reference, entry.display or entry.resource_type, None, _text(entry.start), "seen")
    return _fact(entry, None, None)


def _measured(measured: Measurement) -> Fact:
    return _observed(measured.entry, f"{measured.value:g} {measured.unit}", measured.limit)


def course_fact(course: Course) -> Fact:
    """The dated fact of one course of a steroid."""
    mg = course.peq_mg_per_day
    daily = "dose not known" if mg is None else f"{round(mg, 1):g} mg/day prednisone-equivalent"
    since = "assumed-since" if DURATION_ASSUMED in course.flags else "since"
    return Fact(course.references[0], course.display, _code(course.coding), str(course.start), since, daily)


def _observed(entry: ObservationEntry, value: str | None, limit: str | None) -> Fact:
    return Fact(entry.reference, entry.display, _code(entry.coding), _text(entry.effective), "measured", value, limit)


def _fact(
    entry: ConditionEntry | ActivityEntry | FamilyHistoryEntry, dated: PartialDate | None, kind: str | None
) -> Fact:
    return Fact(entry.reference, entry.display, _code(entry.coding), _text(dated), kind)


def _code(coding: object) -> str | None:
    return None if coding is None else str(coding)


def _text(dated: PartialDate | None) -> str | None:
    return None if dated is None else dated.text
