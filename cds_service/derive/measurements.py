"""Measured strength and function against its cut-off: units converted, best hand taken, first abnormal dated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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
    ``best_of_sides``: the better hand counts. ``each_site``: every code and site is judged by itself.
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
    each_site: bool = False

    def __post_init__(self) -> None:
        if len(limits_of(self)) != 1:
            raise ValueError("a measure has one limit: above, at_least, below or at_most")


class Measurement(msgspec.Struct, frozen=True, gc=False):
    """One abnormal result: the value in the measure's unit, the limit in words, since when (A-15).

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
    """The values of a measure that are not in the future, oldest first, in its unit."""
    values = [
        (entry.effective, value, entry)
        for entry in index.observations.of((measure.set,))
        if entry.effective is not None
        and not entry.effective.is_future(index.as_of)
        and (value := value_in(entry, measure.unit, units, measure.decimals)) is not None
    ]
    return sorted(values, key=lambda v: (v[0], v[2].reference))


def abnormal_measurements(index: RecordIndex, measures: Sequence[Measured], units: UnitKnowledge) -> list[Measurement]:
    """The measures whose latest value inside their window is beyond its limit.

    The best hand counts for grip; where ``each_site`` is set, one muscle is never judged by another (B-93).
    """
    if not index.record.observations:
        return []
    return [
        abnormal
        for measure in measures
        for series in _series(dated_values(index, measure, units), measure)
        if (abnormal := _judge(series, measure, index)) is not None
    ]


def _series(dated: list[DatedValue], measure: Measured) -> Iterable[list[DatedValue]]:
    if not measure.each_site:
        return (dated,)
    by_site: dict[object, list[DatedValue]] = {}
    for one in dated:
        by_site.setdefault((one[2].coding, one[2].site), []).append(one)
    return by_site.values()


def _judge(series: list[DatedValue], measure: Measured, index: RecordIndex) -> Measurement | None:
    recent = [one for one in series if one[0].within_days(measure.within_days, index.as_of)]
    if not recent:
        return None
    gender = index.record.gender
    (limit,) = limits_of(measure)
    if measure.best_of_sides:
        latest = max((_worst(hand, limit) for hand in _by_hand(recent).values()), key=lambda one: one[1])
        series = _by_hand(series)[_hand(latest)]
    else:
        latest = _worst(recent, limit)
    broken = _breaks(latest, limit, gender)
    if broken is False:
        return None
    until_then = [one for one in series if one[0] <= latest[0]]
    onset = _onset(until_then, {one[0] for one in until_then if _breaks(one, limit, gender) in (True, broken)})
    _, value, entry = latest
    words = _words(limit, measure, gender)
    return Measurement(measure.kind, measure.level, entry, value, measure.unit, words, onset, by_sex=broken is None)


def _worst(series: list[DatedValue], limit: Limit) -> DatedValue:
    """The latest value; of several at the same moment the one that is furthest beyond the limit."""
    tied = [one for one in series if one[0] == series[-1][0]]
    return (max if limit.is_upper else min)(tied, key=lambda one: one[1])


def _by_hand(dated: list[DatedValue]) -> dict[object, list[DatedValue]]:
    hands: dict[object, list[DatedValue]] = {}
    for one in dated:
        hands.setdefault(_hand(one), []).append(one)
    return hands


def _hand(dated: DatedValue) -> object:
    return dated[2].coding, dated[2].site.side


def _onset(series: list[DatedValue], abnormal: set[PartialDate]) -> PartialDate:
    """The first abnormal date since the last normal one (A-15)."""
    last_normal = max((one[0] for one in series if one[0] not in abnormal), default=None)
    return min(when for when in abnormal if last_normal is None or when > last_normal)


def _breaks(dated: DatedValue, limit: Limit, gender: str | None) -> bool | None:
    _, value, entry = dated
    return limit.broken_by(value, entry.comparator, gender)


def _words(limit: Limit, measure: Measured, gender: str | None) -> str:
    said = limit.words(gender)
    return f"{said} {measure.unit}" if len(limit.for_sex(gender)) == 1 else said
