"""When a Condition counts: active, confirmed, new (clinical specification section 1; G1-G3, B-01, B-60, B-61)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from cds_service.coding import Site
from cds_service.partial_date import PartialDate
from cds_service.record import ConditionEntry

ACTIVE = frozenset({"active", "recurrence", "relapse"})
CLOSED = frozenset({"inactive", "remission", "resolved"})
NEVER = frozenset({"refuted", "entered-in-error"})
ENCOUNTER_DIAGNOSIS_DAYS = 180
JUST_RECORDED_HOURS = 48

OlderBySite = Mapping[Site, Sequence[ConditionEntry]]


def counts(entry: ConditionEntry) -> bool:
    """False for refuted and entered-in-error entries (G2)."""
    return entry.verification_status not in NEVER


def is_active(entry: ConditionEntry, as_of: datetime) -> bool:
    """activeC: active, recurrence or relapse, not refuted, not abated (G1, G2).

    Without a clinicalStatus that FHIR knows an encounter diagnosis counts for 180 days from its recording; any other
    entry counts, because silence about a problem that nobody closed is the greater harm.
    """
    if not counts(entry) or entry.abated:
        return False
    if entry.clinical_status in ACTIVE or entry.clinical_status in CLOSED:
        return entry.clinical_status in ACTIVE
    if not entry.encounter_diagnosis:
        return True
    return entry.recorded is not None and entry.recorded.within_days(ENCOUNTER_DIAGNOSIS_DAYS, as_of)


def is_confirmed(entry: ConditionEntry) -> bool:
    """confC: confirmed, or nothing said about it (G3). A word that FHIR does not know confirms nothing."""
    return entry.verification_status in (None, "confirmed")


def stand_in_date(entry: ConditionEntry, as_of: datetime, *, red_flag: bool) -> PartialDate | None:
    """The recordedDate where it may stand in for a missing onset in newC (B-01, B-61)."""
    if entry.recorded is None:
        return None
    if red_flag and not entry.encounter_diagnosis and not entry.recorded.within_hours(JUST_RECORDED_HOURS, as_of):
        return None
    return entry.recorded


def is_new(entry: ConditionEntry, days: float, as_of: datetime, *, older: OlderBySite, red_flag: bool) -> bool:
    """newC: onset within ``days``; else recorded within them, unless an ``older`` entry shows that it was there before.

    ``older``: of the entries of the same value sets, see :func:`older_by_site`.
    """
    if entry.onset is not None:
        return entry.onset.within_days(days, as_of)
    recorded = stand_in_date(entry, as_of, red_flag=red_flag)
    if recorded is None or not recorded.within_days(days, as_of):
        return False
    return all(other is entry for site in entry.site.same_places() for other in older.get(site, ()))


def older_by_site(entries: Iterable[ConditionEntry], days: float, as_of: datetime, *, red_flag: bool) -> OlderBySite:
    """The entries that show that a deficit at their place is not new, found once for all that may be new.

    In R01-R04 (``red_flag``) only an earlier entry that is still active makes a deficit old (B-61); elsewhere any that
    was not refuted or entered in error does (B-01).
    """
    older: dict[Site, list[ConditionEntry]] = {}
    for entry in entries:
        earlier = entry.onset or entry.recorded
        if earlier is None or not earlier.older_than_days(days, as_of):
            continue
        if is_active(entry, as_of) if red_flag else counts(entry):
            older.setdefault(entry.site, []).append(entry)
    return older
