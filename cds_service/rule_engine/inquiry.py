"""One patient being asked about: facts, what is known of each source, and the answers given so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from cds_service.coding import NOWHERE, CodeCertainty
from cds_service.derive.findings import Finding
from cds_service.derive.measurements import Measurement
from cds_service.derive.steroid_courses import DURATION_ASSUMED, WEEKLY, Course
from cds_service.partial_date import PartialDate
from cds_service.record import (
    MEDICATION_SOURCES,
    ActivityEntry,
    ConditionEntry,
    FamilyHistoryEntry,
    MedicationEntry,
    ObservationEntry,
    SourceName,
    SourceState,
    VisitEntry,
)
from cds_service.rule_engine.expression import FALSE
from cds_service.rule_engine.model import RECORDED, RECORDED_ONSET_AS_TEXT, Assessment, Fact, Facts, Rule, Verdict

Entry = ConditionEntry | Finding | ObservationEntry | ActivityEntry | VisitEntry | FamilyHistoryEntry | MedicationEntry
Criteria = Mapping[str, Callable[["Inquiry"], Verdict]]
_SEEN = (SourceState.COMPLETE, SourceState.NOT_NEEDED)
_NOTHING: Mapping[str, Assessment] = {}
MEDICATIONS = "medications"
_ACTIVITY_DATES = {"ServiceRequest": "ordered", "CarePlan": "since"}


class Remembered:
    """What all rules share about one patient: answers by question, facts by entry, what was not seen by sources."""

    def __init__(self) -> None:
        self.answers: dict[Callable[[Inquiry], Verdict], Verdict] = {}
        self.facts: dict[int, Fact] = {}
        self.unseen: dict[tuple[SourceName, ...], Verdict] = {}


class Inquiry:
    """Answers criteria by name for one rule, each at most once. ``gates`` answers the shared ones for all rules.

    ``earlier`` are the answers of the rules asked before.
    """

    def __init__(
        self,
        facts: Facts,
        criteria: Criteria,
        gates: Inquiry | None = None,
        earlier: Mapping[str, Assessment] = _NOTHING,
    ) -> None:
        self.facts = facts
        self.as_of = facts.as_of
        self.record = facts.record
        self.index = facts.index
        self.earlier = earlier
        self.criteria = criteria
        self.gates = gates
        self._answers: dict[str, Verdict] = {}
        self.remembered: Remembered = Remembered() if gates is None else gates.remembered

    def ask(self, name: str) -> Verdict:
        """The verdict of the criterion of that name."""
        answer = self._answers.get(name)
        if answer is None:
            answer = self._answers[name] = self.criteria[name](self)
        return answer

    def why_not(self, rule: Rule, pattern: Iterable[str], most: int) -> str:
        """In the words of the criteria of the rule's pattern, what was asked for and not found."""
        criteria, answers = rule.criteria, self._answers
        said = (criteria[n].says for n in pattern if n in criteria and n in answers and answers[n].value is False)
        return "not found: " + "; ".join(islice(said, most))

    def verdict(self, entries: Iterable[Entry], sources: Iterable[SourceName]) -> Verdict:
        """True with facts when entries were found; else false, or unknown where a source was not seen whole (P-03)."""
        found = tuple(entries)
        if found:
            return Verdict(True, tuple(map(self._fact, found)), found)
        asked = tuple(sources)
        unseen = self.remembered.unseen.get(asked)
        if unseen is None:
            missing = tuple(name for name in asked if self.record.state(name) not in _SEEN)
            unseen = self.remembered.unseen[asked] = Verdict(None, missing=missing) if missing else FALSE
        return unseen

    def _fact(self, entry: Entry) -> Fact:
        """The entry's fact, made once; the record keeps every entry alive, so its id is its own."""
        facts = self.remembered.facts
        fact = facts.get(id(entry))
        if fact is None:
            fact = facts[id(entry)] = fact_of(entry)
        return fact

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
        case MedicationEntry():
            return entry.start or entry.written
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
        dated, kind = (entry.onset, "onset") if entry.onset else (entry.recorded, _recorded_kind(entry))
        return _fact(entry, dated, kind if dated else None)
    if isinstance(entry, ActivityEntry):
        return _fact(entry, entry.date, _ACTIVITY_DATES.get(entry.resource_type, "done"), entry.certainty)
    return _other_fact(entry)


def _other_fact(entry: ObservationEntry | VisitEntry | FamilyHistoryEntry | MedicationEntry) -> Fact:
    if isinstance(entry, MedicationEntry):
        dated, kind = (entry.start, "since") if entry.start else (entry.written, "ordered")
        code, day = _code(entry.coding), _text(dated)
        return Fact(entry.reference, entry.display, code, day, kind if dated else None, certainty=entry.certainty)
    if isinstance(entry, ObservationEntry):
        return _observed(entry, _as_written(entry), None)
    if isinstance(entry, VisitEntry):
        return Fact(entry.reference, entry.display or entry.resource_type, None, _text(entry.start), "seen")
    return _fact(entry, None, None)


def _recorded_kind(entry: ConditionEntry) -> str:
    return RECORDED_ONSET_AS_TEXT if entry.onset_is_text else RECORDED


def _measured(measured: Measurement) -> Fact:
    return _observed(measured.entry, f"{measured.value:g} {measured.unit}", measured.limit)


def result_fact(entry: ObservationEntry, unit: str | None, value: float, threshold: str) -> Fact:
    """A result beside its limit: the value as the chart writes it, and in the unit of the limit where that differs."""
    written = _as_written(entry)
    if unit is not None and entry.unit != unit and written is not None:
        written = f"{written} ({value:.4g} {unit})"
    return _observed(entry, written, threshold)


def _as_written(entry: ObservationEntry) -> str | None:
    if entry.value is None:
        return None
    return f"{entry.comparator or ''}{entry.value:g} {entry.unit or ''}".strip()


def course_fact(course: Course) -> Fact:
    """The dated fact of one course of a steroid; doses a week or more apart are called averaged (A-05)."""
    mg = course.peq_mg_per_day
    daily = "dose not known" if mg is None else f"{round(mg, 1):g} mg/day prednisone-equivalent"
    weekly = "weekly-" if WEEKLY in course.flags else ""
    since = "assumed-since" if DURATION_ASSUMED in course.flags else "since"
    return Fact(
        course.references[0],
        course.display,
        _code(course.coding),
        str(course.start),
        weekly + since,
        daily,
        certainty=course.coded,
    )


def _observed(entry: ObservationEntry, value: str | None, limit: str | None) -> Fact:
    return Fact(entry.reference, entry.display, _code(entry.coding), _text(entry.effective), "measured", value, limit)


def _fact(
    entry: ConditionEntry | ActivityEntry | FamilyHistoryEntry,
    dated: PartialDate | None,
    kind: str | None,
    certainty: CodeCertainty = CodeCertainty.EXACT,
) -> Fact:
    began, code = dated if kind == "onset" else None, _code(entry.coding)
    site = entry.site if isinstance(entry, ConditionEntry) else NOWHERE
    return Fact(entry.reference, entry.display, code, _text(dated), kind, began=began, certainty=certainty, site=site)


def _code(coding: object) -> str | None:
    return None if coding is None else str(coding)


def _text(dated: PartialDate | None) -> str | None:
    return None if dated is None else dated.text
