"""Which drugs are being taken, or were until a few days ago (B-06)."""

from __future__ import annotations

from collections.abc import Iterable

from cds_service.derive.index import RecordIndex
from cds_service.partial_date import PartialDate
from cds_service.record import MedicationEntry

ENDED = frozenset({"completed", "stopped", "on-hold"})
ACTIVE = frozenset({"active", "in-progress"})
NOT_AN_ORDER = frozenset({"proposal", "plan", "option"})


def taken(index: RecordIndex, sets: Iterable[str], within_days: int) -> list[MedicationEntry]:
    """Active entries, and those that ended at most so many days ago; never what was only planned or not taken."""
    return [entry for entry in index.medications.of(sets) if _is_taken(entry, within_days, index)]


def day_of(entry: MedicationEntry) -> PartialDate | None:
    """The last day that an entry speaks of: its end, else its start, else when it was written or handed over."""
    return entry.end or entry.start or entry.written


def _is_taken(entry: MedicationEntry, within_days: int, index: RecordIndex) -> bool:
    if entry.do_not_perform or entry.intent in NOT_AN_ORDER:
        return False
    if entry.status in ACTIVE and (entry.end is None or entry.end.is_future(index.as_of)):
        return True
    if entry.status not in ACTIVE | ENDED:
        return False
    last = day_of(entry)
    supply = (entry.supply_days or 0) if entry.resource_type == "MedicationDispense" else 0
    return last is not None and (
        last.within_days(within_days + supply, index.as_of) or (entry.status in ACTIVE and last.is_future(index.as_of))
    )
