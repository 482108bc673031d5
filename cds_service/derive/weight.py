"""Weight loss and body mass index from measured weights (section 5 of the specification, A-11, A-56, B-40, B-75)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from statistics import median
from typing import Literal

import msgspec

from cds_service.derive.age import is_at_least
from cds_service.derive.conditions import is_new, older_by_site
from cds_service.derive.index import RecordIndex
from cds_service.derive.units import UnitKnowledge
from cds_service.derive.weight_knowledge import Explains, WeightKnowledge
from cds_service.partial_date import PartialDate
from cds_service.record import ActivityEntry, ConditionEntry, ObservationEntry

WEIGHT_UNIT, HEIGHT_UNIT, BMI_UNIT = "kg", "cm", "kg/m2"
CM_PER_M = 100
DIGITS = 9
Intent = Literal["intentional", "unintentional", "unknown"]


class Weighed(msgspec.Struct, frozen=True, gc=False):
    """One plausible weight."""

    when: PartialDate
    kg: float
    entry: ObservationEntry


class BodyMass(msgspec.Struct, frozen=True, gc=False):
    """The latest body mass index, measured or computed from ``entries``."""

    value: float
    when: PartialDate
    entries: tuple[ObservationEntry, ...]


class WeightTrend(msgspec.Struct, frozen=True, gc=False):
    """What the weights say. ``reference_kg`` is the highest of its days, or their median (``by_median``).

    ``loss_percent`` is None without a latest weight or a reference; a gain is negative. ``second_low`` is an earlier
    low weight that confirms the latest one (B-75). ``intent`` speaks of any loss; ``intent_entries`` are its ground.
    ``bmi_if_grown`` is computed with a height of an age that the birth date does not tell (A-12). ``bmis`` are all
    body mass indexes, oldest first.
    """

    weights: tuple[Weighed, ...] = ()
    latest: Weighed | None = None
    reference_kg: float | None = None
    reference: Weighed | None = None
    by_median: bool = False
    loss_percent: float | None = None
    second_low: Weighed | None = None
    stable: bool = False
    bmi: BodyMass | None = None
    bmi_if_grown: BodyMass | None = None
    bmis: tuple[BodyMass, ...] = ()
    intent: Intent = "unknown"
    intent_entries: tuple[ConditionEntry | ActivityEntry, ...] = ()


def weight_trend(index: RecordIndex, knowledge: WeightKnowledge, units: UnitKnowledge) -> WeightTrend:
    """The trend of one patient; empty where nothing was weighed."""
    height = _height(index, knowledge, units)
    weights = _plausible(index, knowledge, units, height)
    bmis = _body_masses(index, knowledge, units, (weights, height))
    if_grown = None
    if height is None and weights:
        any_height = _height(index, knowledge, units, if_unknown=True)
        if_grown = _latest(_body_masses(index, knowledge, units, (weights, any_height)), index, knowledge)
    intent, ground = _intent(index, knowledge)
    trend = WeightTrend(
        weights=weights,
        stable=_is_stable(weights, knowledge),
        bmi=_latest(bmis, index, knowledge),
        bmi_if_grown=if_grown,
        bmis=bmis,
        intent=intent,
        intent_entries=ground,
    )
    if not weights or not weights[-1].when.within_days(knowledge.latest_within_days, index.as_of):
        return trend
    return _with_loss(trend, index, knowledge)


def _with_loss(trend: WeightTrend, index: RecordIndex, knowledge: WeightKnowledge) -> WeightTrend:
    latest = trend.weights[-1]
    before = [w for w in trend.weights if _is_reference_for(w, latest, knowledge)]
    if not before:
        return msgspec.structs.replace(trend, latest=latest)
    by_median = bool(index.active_conditions.of(knowledge.median_reference_sets))
    highest = max(before, key=lambda w: (w.kg, w.when))
    reference_kg = median(w.kg for w in before) if by_median else highest.kg
    low = reference_kg * (1 - knowledge.low_percent / 100)
    first_low_day = before[0].when if by_median else highest.when
    lows = [
        w
        for w in trend.weights
        if w.kg <= round(low, DIGITS)
        and w.when > first_low_day
        and _days_between(w, latest) >= knowledge.low_apart_days
    ]
    return msgspec.structs.replace(
        trend,
        latest=latest,
        reference_kg=reference_kg,
        reference=highest,
        by_median=by_median,
        loss_percent=round((reference_kg - latest.kg) / reference_kg * 100, DIGITS),
        second_low=lows[-1] if lows and latest.kg <= round(low, DIGITS) else None,
    )


def _is_reference_for(one: Weighed, latest: Weighed, knowledge: WeightKnowledge) -> bool:
    oldest = (latest.when.last_day - one.when.first_day).days
    return _days_between(one, latest) >= knowledge.reference_from_days and oldest <= knowledge.reference_to_days


def _days_between(earlier: Weighed, later: Weighed) -> int:
    return (later.when.first_day - earlier.when.last_day).days


# --- which weights count ---------------------------------------------------------------------------------------------


def _plausible(
    index: RecordIndex, knowledge: WeightKnowledge, units: UnitKnowledge, height: Measured | None
) -> tuple[Weighed, ...]:
    weighed = [
        Weighed(one.when, one.value, one.entry)
        for one in _measured(index, knowledge.weight_set, WEIGHT_UNIT, units)
        if one.when.within_days(knowledge.series_days, index.as_of)
        and (height is None or knowledge.bmi_lowest <= _index(one.value, height.value) <= knowledge.bmi_highest)
    ]
    broken_on = _series_broken_on(index, knowledge)
    if broken_on is not None:
        weighed = [w for w in weighed if w.when.first_day >= broken_on]
    return _without_outliers(_without_pound_slips(weighed, knowledge), knowledge)


def _series_broken_on(index: RecordIndex, knowledge: WeightKnowledge) -> date | None:
    coded = index.conditions.of(knowledge.breaks_series_sets)
    done = index.activities.of(knowledge.breaks_series_sets)
    days = [c.onset.last_day for c in coded if c.onset is not None and c.verification_status not in _NEVER]
    days += [a.date.last_day for a in done if a.date is not None and a.status == "completed"]
    today = index.as_of.date()
    return max((day for day in days if day <= today), default=None)


_NEVER = ("refuted", "entered-in-error")


def _without_pound_slips(weighed: list[Weighed], knowledge: WeightKnowledge) -> list[Weighed]:
    def is_slip(one: Weighed, neighbour: Weighed) -> bool:
        expected = neighbour.kg * knowledge.pounds_per_kilogram
        return abs(one.kg - expected) <= expected * knowledge.pound_slip_percent / 100

    return [w for w, sides in _with_neighbours(weighed) if sides is None or not all(is_slip(w, s) for s in sides)]


def _without_outliers(weighed: list[Weighed], knowledge: WeightKnowledge) -> tuple[Weighed, ...]:
    def is_far(one: Weighed, neighbour: Weighed) -> bool:
        near = abs((one.when.first_day - neighbour.when.first_day).days) <= knowledge.outlier_days
        return near and abs(one.kg - neighbour.kg) > neighbour.kg * knowledge.outlier_percent / 100

    return tuple(w for w, sides in _with_neighbours(weighed) if sides is None or not all(is_far(w, s) for s in sides))


def _with_neighbours(weighed: list[Weighed]) -> list[tuple[Weighed, tuple[Weighed, Weighed] | None]]:
    """Each weight with the one before and the one after it; None at the two ends."""
    last = len(weighed) - 1
    return [(one, (weighed[at - 1], weighed[at + 1]) if 0 < at < last else None) for at, one in enumerate(weighed)]


def _is_stable(weights: Sequence[Weighed], knowledge: WeightKnowledge) -> bool:
    if not weights or _days_between(weights[0], weights[-1]) < knowledge.stable_days:
        return False
    lowest, highest = min(w.kg for w in weights), max(w.kg for w in weights)
    return round((highest - lowest) / highest * 100, DIGITS) <= knowledge.stable_percent


# --- height and body mass index --------------------------------------------------------------------------------------


class Measured(msgspec.Struct, frozen=True, gc=False):
    """One dated number in the unit asked for."""

    when: PartialDate
    value: float
    entry: ObservationEntry


def _measured(index: RecordIndex, name: str, unit: str, units: UnitKnowledge) -> list[Measured]:
    """Positive values of a set, oldest first; nothing undated or dated ahead (A-48)."""
    found = [
        Measured(entry.effective, converted.value, entry)
        for entry in index.observations.of((name,))
        if entry.value is not None
        and entry.value > 0
        and entry.comparator is None
        and entry.effective is not None
        and not entry.effective.is_future(index.as_of)
        and (converted := units.convert(entry.value, entry.unit, unit, entry.sets)) is not None
    ]
    return sorted(found, key=lambda one: (one.when, one.entry.reference))


def _height(
    index: RecordIndex, knowledge: WeightKnowledge, units: UnitKnowledge, *, if_unknown: bool = False
) -> Measured | None:
    """The latest height that still holds (A-11); ``if_unknown``: also one of an age that cannot be told."""
    heights = _measured(index, knowledge.height_set, HEIGHT_UNIT, units)
    for one in reversed(heights):
        grown = is_at_least(knowledge.adult_height_age, index.record.birth_date, one.when.earliest)
        holds = if_unknown if grown is None else grown
        if holds or one.when.within_days(knowledge.young_height_within_days, index.as_of):
            return one
    return None


def _body_masses(
    index: RecordIndex,
    knowledge: WeightKnowledge,
    units: UnitKnowledge,
    body: tuple[Sequence[Weighed], Measured | None],
) -> tuple[BodyMass, ...]:
    """Every Observation, and every weight with the height of a day without one; oldest first."""
    weights, height = body
    found = [
        BodyMass(one.value, one.when, (one.entry,))
        for one in _measured(index, knowledge.bmi_set, BMI_UNIT, units)
        if knowledge.bmi_lowest <= one.value <= knowledge.bmi_highest
    ]
    if height is not None:
        days = {one.when.last_day for one in found}
        found += [
            BodyMass(round(_index(w.kg, height.value), 1), w.when, (w.entry, height.entry))
            for w in weights
            if w.when.first_day not in days
        ]
    return tuple(sorted(found, key=lambda one: one.when))


def _latest(bmis: Sequence[BodyMass], index: RecordIndex, knowledge: WeightKnowledge) -> BodyMass | None:
    return next((one for one in bmis[-1:] if one.when.within_days(knowledge.bmi_within_days, index.as_of)), None)


def _index(kg: float, cm: float) -> float:
    return round(kg / (cm / CM_PER_M) ** 2, DIGITS)


# --- intent ----------------------------------------------------------------------------------------------------------


def _intent(
    index: RecordIndex, knowledge: WeightKnowledge
) -> tuple[Intent, tuple[ConditionEntry | ActivityEntry, ...]]:
    """A coded unintended loss wins; then anything that explains a loss; else nobody said (section 5)."""
    unintended = index.active_conditions.of(knowledge.unintended_sets)
    if unintended:
        return "unintentional", tuple(unintended)
    for one in knowledge.explains:
        ground: tuple[ConditionEntry | ActivityEntry, ...] = (*_coded(one, index), *_planned(one, index))
        if ground:
            return "intentional", ground
    return "unknown", ()


def _coded(one: Explains, index: RecordIndex) -> tuple[ConditionEntry, ...]:
    found = index.active_conditions.of(one.sets)
    if one.within_days is None:
        return tuple(found)
    days = one.within_days
    older = older_by_site(index.conditions.of(one.sets), days, index.as_of, red_flag=False)
    return tuple(c for c in found if is_new(c, days, index.as_of, older=older, red_flag=False))


def _planned(one: Explains, index: RecordIndex) -> tuple[ActivityEntry, ...]:
    return tuple(
        a
        for a in index.activities.of(one.sets)
        if (a.resource_type == "CarePlan" and a.status == "active")
        or (
            a.resource_type == "Procedure"
            and a.status == "completed"
            and a.date is not None
            and (one.within_days is None or a.date.within_days(one.within_days, index.as_of))
        )
    )
