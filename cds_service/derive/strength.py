"""A fall of measured strength: an MRC sum score or grade that dropped within days (R02; limits in findings.toml)."""

from __future__ import annotations

from datetime import date, datetime

from cds_service.coding import Coding
from cds_service.derive.findings import FindingKnowledge
from cds_service.record import ObservationEntry, PatientRecord

RECENT_DAYS = 28


def strength_falls(record: PatientRecord, knowledge: FindingKnowledge, as_of: datetime) -> list[ObservationEntry]:
    """Earlier and latest result of each measure that fell by its limit within its days, the latest ≤28 d old."""
    found: list[ObservationEntry] = []
    for name, fall in (
        ("mrc-sum-score", knowledge.strength_fall_sum),
        ("mrc-grade", knowledge.strength_fall_grade),
    ):
        for series in _series(record, name, knowledge.strength_fall_days, as_of).values():
            found += _fall_in(series, fall, knowledge.strength_fall_days, as_of)
    return found


def _fall_in(series: list[ObservationEntry], fall: float, days: int, as_of: datetime) -> list[ObservationEntry]:
    """The newest fall that ended in the last 28 days and has not recovered since."""
    latest = series[-1].value or 0
    highest: dict[date, float] = {}  # of each day so far: days are few, however many results there are
    ended = None
    for place, later in enumerate(series):
        when, value = later.effective, later.value or 0
        if when is None:
            continue
        if when.within_days(RECENT_DAYS, as_of) and any(
            high - max(value, latest) >= fall and (when.last_day - day).days <= days for day, high in highest.items()
        ):
            ended = place
        highest[when.first_day] = max(value, highest.get(when.first_day, value))
    return [] if ended is None else _first_and_last(series[: ended + 1], fall, days, latest)


def _first_and_last(series: list[ObservationEntry], fall: float, days: int, latest: float) -> list[ObservationEntry]:
    """The oldest result from which the last one fell, and that one."""
    later = series[-1]
    low = max(later.value or 0, latest)
    first = next(o for o in series if (o.value or 0) - low >= fall and _days_between(o, later) <= days)
    return [first, later]


def _series(
    record: PatientRecord, name: str, fall_days: int, as_of: datetime
) -> dict[tuple[Coding | None, object], list[ObservationEntry]]:
    """Results by code and site, oldest first; MRC scores have no unit to convert."""
    series: dict[tuple[Coding | None, object], list[ObservationEntry]] = {}
    days = RECENT_DAYS + fall_days
    dated = [
        o
        for o in record.observations
        if name in o.sets and o.value is not None and o.effective is not None and o.effective.within_days(days, as_of)
    ]
    for entry in sorted(dated, key=lambda o: (o.effective, o.reference)):
        series.setdefault((entry.coding, entry.site), []).append(entry)
    return {
        key: entries
        for key, entries in series.items()
        if entries[-1].effective is not None and entries[-1].effective.within_days(RECENT_DAYS, as_of)
    }


def _days_between(earlier: ObservationEntry, later: ObservationEntry) -> int:
    if earlier.effective is None or later.effective is None:
        return 0
    return (later.effective.last_day - earlier.effective.first_day).days
