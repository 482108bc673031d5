"""Measured strength and function against its cut-off: units converted, best hand taken, first abnormal dated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from cds_service.derive.index import RecordIndex
from cds_service.derive.limits import Limit, limits_of
from cds_service.derive.units import UnitKnowledge
from cds_service.partial_date import PartialDate
from cds_service.record import ObservationEntry

DatedValue = tuple[PartialDate, float, ObservationEntry]


class Measured(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A measure of ``rules/findings.toml``: abnormal when beyond its limit, in ``unit`` after conversion.

    One of ``below``, ``at_most``, ``above``, ``at_least`` is given: see :class:`Limit`.
    ``decimals`` is the precision of the limit as the guideline writes it; only converted values are rounded (B-74).
    """

    kind: str
    set: str
    level: int
    unit: str
    within_days: int
    decimals: int
    says: str
    below: Mapping[str, float] = {}
    at_most: Mapping[str, float] = {}
    above: Mapping[str, float] = {}
    at_least: Mapping[str, float] = {}
    best_of_sides: bool = False

    def __post_init__(self) -> None:
        if len(limits_of(self)) != 1:
            raise ValueError("a measure has one limit: above, at_least, below or at_most")


class Measurement(msgspec.Struct, frozen=True, gc=False):
    """One abnormal result: the value in the measure's unit, the limit in words, the first abnormal date (A-15).

    ``by_sex``: abnormal for one of the sexes, and the patient's is not known (A-12).
    """

    kind: str
    level: int
    entry: ObservationEntry
    value: float
    unit: str
    limit: str
    onset: PartialDate | None
    by_sex: bool = False


def value_in(entry: ObservationEntry, unit: str, units: UnitKnowledge, decimals: int) -> float | None:
    """The value in ``unit``; None without a number or with a unit that cannot be converted (A-54, G14)."""
    if entry.value is None:
        return None
    converted = units.convert(entry.value, entry.unit, unit, entry.sets)
    return None if converted is None else converted.rounded(decimals)


def dated_values(index: RecordIndex, measure: Measured, units: UnitKnowledge) -> list[DatedValue]:
    """The values of a measure inside its window, oldest first, in its unit."""
    values = [
        (entry.effective, value, entry)
        for entry in index.observations.of((measure.set,))
        if entry.effective is not None
        and entry.effective.within_days(measure.within_days, index.as_of)
        and (value := value_in(entry, measure.unit, units, measure.decimals)) is not None
    ]
    return sorted(values, key=lambda v: (v[0], v[2].reference))


def abnormal_measurements(index: RecordIndex, measures: Sequence[Measured], units: UnitKnowledge) -> list[Measurement]:
    """The measures whose latest dated value (the best hand, for grip) is beyond its limit."""
    record = index.record
    if not record.observations:
        return []
    found = []
    for measure in measures:
        dated = dated_values(index, measure, units)
        if dated and (abnormal := _judge(dated, measure, record.gender)):
            found.append(abnormal)
    return found


def _judge(dated: list[DatedValue], measure: Measured, gender: str | None) -> Measurement | None:
    latest = dated[-1]
    if measure.best_of_sides:
        by_side = {(entry.coding, entry.site.side): (when, value, entry) for when, value, entry in dated}
        latest = max(by_side.values(), key=lambda v: v[1])
    (limit,) = limits_of(measure)
    broken = _breaks(latest, limit, gender)
    if broken is False:
        return None
    onset = next((one[0] for one in dated if _breaks(one, limit, gender) in (True, broken)), None)
    _, value, entry = latest
    by_sex = broken is None
    return Measurement(
        measure.kind, measure.level, entry, value, measure.unit, _words(limit, measure, gender), onset, by_sex
    )


def _breaks(dated: DatedValue, limit: Limit, gender: str | None) -> bool | None:
    _, value, entry = dated
    return limit.broken_by(value, entry.comparator, gender)


def _words(limit: Limit, measure: Measured, gender: str | None) -> str:
    said = limit.words(gender)
    return f"{said} {measure.unit}" if len(limit.for_sex(gender)) == 1 else said
