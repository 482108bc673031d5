"""Worsening: a later entry that says more than earlier ones, or measured strength that fell (B-10, B-88)."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from datetime import date

import msgspec

from cds_service.coding import NOWHERE, Coding, Site
from cds_service.derive.index import RecordIndex
from cds_service.derive.units import UnitKnowledge
from cds_service.partial_date import PartialDate
from cds_service.record import ConditionEntry, ObservationEntry

DIGITS = 9
Series = list[tuple[PartialDate, float, ObservationEntry]]


class Worsening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Days between the two entries; ``falls`` gives for a measure the fall that counts, in its unit or percent."""

    apart_days: int
    within_days: int
    falls: Mapping[str, Fall]


class Fall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much less is worse: by so many units, or by so many percent of the earlier value."""

    unit: str
    by: float | None = None
    percent: float | None = None

    def holds(self, earlier: float, later: float) -> bool:
        """Whether ``later`` is that much lower."""
        fall = round(earlier - later, DIGITS)
        if self.by is not None and fall >= self.by:
            return True
        return self.percent is not None and fall > 0 and fall >= round(earlier * self.percent / 100, DIGITS)


def worsening_entries(
    index: RecordIndex, sets: Iterable[str], knowledge: Worsening, may_be_later: Callable[[ConditionEntry], bool]
) -> tuple[ConditionEntry, ...]:
    """The first and the later entry of a pair so many days apart whose later one has a new site or set; else nothing.

    An unsited earlier entry proves no site new, because it may have meant the same place.
    """
    wanted = frozenset(sets)
    dated = [
        (when, entry)
        for entry in index.active_conditions.of(wanted)
        if (when := entry.onset or entry.recorded) is not None and not when.is_future(index.as_of)
    ]
    dated.sort(key=lambda one: (one[0], one[1].reference))
    said = _first_said(dated, wanted)
    for when, entry in reversed(dated):
        if not may_be_later(entry):
            continue
        known = {what for what, day in said.items() if (when.first_day - day).days >= knowledge.apart_days}
        if known and _says_more(entry, known, wanted):
            return next(e for w, e in dated if (when.first_day - w.last_day).days >= knowledge.apart_days), entry
    return ()


def _first_said(dated: Iterable[tuple[PartialDate, ConditionEntry]], wanted: frozenset[str]) -> dict[str | Site, date]:
    """For each value set and each site the earliest day on which an entry certainly named it."""
    first: dict[str | Site, date] = {}
    for when, entry in dated:
        named: tuple[str | Site, ...] = (*(entry.sets & wanted), entry.site)
        for what in named:
            first[what] = min(first.get(what, date.max), when.last_day)
    return first


def _says_more(entry: ConditionEntry, known: Container[str | Site], wanted: frozenset[str]) -> bool:
    if any(name not in known for name in entry.sets & wanted):
        return True
    return entry.site != NOWHERE and NOWHERE not in known and entry.site not in known


def strength_worse(
    index: RecordIndex,
    measures: Iterable[str],
    knowledge: Worsening,
    units: UnitKnowledge,
    since: date | None = None,
) -> tuple[ObservationEntry, ...]:
    """An earlier and the latest value of one measure, code and side, so many days apart, that fell; else nothing.

    ``since``: only a latest value of that day or later that is also so much below the last value before that day.
    """
    for name in measures:
        fall = knowledge.falls[name]
        for series in value_series(index, (name,), fall.unit, units, within_days=knowledge.within_days):
            latest_when, latest, latest_entry = series[-1]
            for when, value, entry in _of_the_time(series, fall, since):
                apart = (latest_when.first_day - when.last_day).days >= knowledge.apart_days
                if apart and fall.holds(value, latest):
                    return entry, latest_entry
    return ()


def _of_the_time(series: Series, fall: Fall, since: date | None) -> Series:
    """The earlier values that the latest of ``series`` may be compared with: what fell before ``since`` is no fall."""
    latest_when, latest, _ = series[-1]
    if since is None:
        return series[:-1]
    if latest_when.last_day < since:
        return []
    before = [one for one in series[:-1] if one[0].last_day < since]
    fell_since = bool(before) and fall.holds(before[-1][1], latest)
    return series[:-1] if fell_since else series[len(before) : -1]


def value_series(
    index: RecordIndex, sets: Iterable[str], unit: str, units: UnitKnowledge, *, within_days: float
) -> list[Series]:
    """Values of one code and site together, oldest first."""
    series: dict[tuple[Coding | None, Site], Series] = {}
    for entry in index.observations.of(sets):
        when = entry.effective
        if entry.value is None or when is None or not when.within_days(within_days, index.as_of):
            continue
        converted = units.convert(entry.value, entry.unit, unit, entry.sets)
        if converted is not None:
            series.setdefault((entry.coding, entry.site), []).append((when, converted.value, entry))
    for values in series.values():
        values.sort(key=lambda one: (one[0], one[2].reference))
    return list(series.values())
