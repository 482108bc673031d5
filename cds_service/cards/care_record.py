"""What the record shows as done, ordered or seen, by value set: the material of G6 and G8."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from cds_service.coding import NO_SETS
from cds_service.derive.index import BySet, RecordIndex
from cds_service.partial_date import PartialDate
from cds_service.record import ActivityEntry, ObservationEntry, VisitEntry
from cds_service.rule_engine.care import APPOINTMENT_COMING, ORDER_OPEN, VISIT_NEVER, is_ordered, is_performed


class CareEntry(NamedTuple):
    """One entry that may show an order to be done or under way. ``coming``: an appointment may lie ahead."""

    kind: Literal["result", "performed", "order", "visit"]
    date: PartialDate | None
    reference: str
    is_open: bool = False
    abnormal: bool = False
    coming: bool = False


class CareRecord:
    """What counts of one patient's record, by value set; drafts, revoked and cancelled entries never do.

    A set is looked up when it is first asked about: an answer asks about a few of all the sets that orders watch.
    ``present`` are the sets that have any entry, whether it counts or not.
    """

    def __init__(self, index: RecordIndex) -> None:
        record = index.record
        self._found: dict[str, tuple[CareEntry, ...]] = {}
        self._kinds: list[BySet[Any]] = []
        present: list[frozenset[str]] = []
        if record.observations:
            self._kinds.append(index.observations)
            present += [entry.sets for entry in record.observations]
        if record.activities:
            self._kinds.append(index.activities_for)
            present += [entry.sets | entry.specialties for entry in record.activities]
        if record.visits:
            self._kinds.append(index.visits)
            present += [entry.sets | entry.specialties for entry in record.visits]
        self.present = NO_SETS.union(*present)

    def of(self, name: str) -> tuple[CareEntry, ...]:
        """Results, then what was done or ordered, then visits."""
        found = self._found.get(name)
        if found is None:
            entries = [entry for kind in self._kinds for entry in kind.of((name,))]
            found = self._found[name] = tuple([care for entry in entries if (care := _care(entry)) is not None])
        return found


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
