"""What the record shows as done, ordered or seen, by value set: the material of G6 and G8."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from cds_service.partial_date import PartialDate
from cds_service.record import ActivityEntry, ObservationEntry, PatientRecord, VisitEntry
from cds_service.rule_engine.care import APPOINTMENT_COMING, ORDER_OPEN, VISIT_NEVER, is_ordered, is_performed


class CareEntry(NamedTuple):
    """One entry that may show an order to be done or under way. ``coming``: an appointment may lie ahead."""

    kind: Literal["result", "performed", "order", "visit"]
    date: PartialDate | None
    reference: str
    is_open: bool = False
    abnormal: bool = False
    coming: bool = False


def care_by_set(record: PatientRecord, watched: frozenset[str]) -> Mapping[str, tuple[CareEntry, ...]]:
    """Every entry of a watched value set that counts; drafts, revoked and cancelled ones never do."""
    found: dict[str, list[CareEntry]] = {}
    entries: tuple[ObservationEntry | ActivityEntry | VisitEntry, ...] = (
        *record.observations,
        *record.activities,
        *record.visits,
    )
    for entry in entries:
        sets = entry.sets if isinstance(entry, ObservationEntry) else entry.sets | entry.specialties
        if watched.isdisjoint(sets):
            continue
        care = _care(entry)
        if care is not None:
            for name in sets & watched:
                found.setdefault(name, []).append(care)
    return {name: tuple(care) for name, care in found.items()}


def newest_is_abnormal(entries: Iterable[CareEntry]) -> bool:
    """Whether the newest dated result lies outside its reference range; False without a result or a range."""
    results = [(e.date, e.abnormal) for e in entries if e.kind == "result" and e.date is not None]
    return max(results)[1] if results else False


def _care(entry: ObservationEntry | ActivityEntry | VisitEntry) -> CareEntry | None:
    match entry:
        case ObservationEntry():
            return CareEntry("result", entry.effective, entry.reference, abnormal=_outside_its_range(entry))
        case ActivityEntry() if is_performed(entry):
            return CareEntry("performed", entry.date, entry.reference)
        case ActivityEntry() if is_ordered(entry):
            return CareEntry("order", entry.date, entry.reference, is_open=entry.status in ORDER_OPEN)
        case VisitEntry(resource_type="Appointment") if entry.status in APPOINTMENT_COMING:
            return CareEntry("visit", entry.start, entry.reference, coming=True)
        case VisitEntry(resource_type="Encounter") if entry.status not in VISIT_NEVER:
            return CareEntry("visit", entry.start, entry.reference)
        case _:
            return None


def _outside_its_range(entry: ObservationEntry) -> bool:
    if entry.value is None:
        return False
    return (entry.low is not None and entry.value < entry.low) or (entry.high is not None and entry.value > entry.high)
