"""Questions about weight: how much was lost, whether that is sure, intended or stable, and the body mass index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import TypeVar

from cds_service.derive.index import RecordIndex
from cds_service.derive.weight import DIGITS, BodyMass, Weighed, WeightTrend, weight_trend
from cds_service.record import BIRTH_DATE, ObservationEntry
from cds_service.rule_engine.criterion import Criterion
from cds_service.rule_engine.expression import FALSE
from cds_service.rule_engine.inquiry import Inquiry, onset_of, result_fact
from cds_service.rule_engine.model import Fact, Verdict
from cds_service.rule_engine.relations import Ask

T = TypeVar("T", Weighed, BodyMass)


def trends_for(criterion: Criterion, inquiry: Inquiry) -> tuple[WeightTrend, ...]:
    """The weights as they stand today, or as they stood on the day of each entry of the criterion ``at``."""
    facts = inquiry.facts
    if criterion.at is None:
        return (facts.weight,)
    onsets = sorted(
        onset.latest for entry in inquiry.ask(criterion.at).entries if (onset := onset_of(entry)) is not None
    )
    ends = {end.date(): end for end in onsets}  # a chart has few days, and may have many entries of one
    return tuple(
        weight_trend(RecordIndex(facts.record, end), facts.weight_knowledge, facts.units)
        for end in reversed(ends.values())
    )


def weight_loss(criterion: Criterion) -> Ask:
    """The loss against the reference in percent, plain arithmetic whatever the intent (section 5, B-40, B-75)."""
    above, at_least = criterion.weight_loss_above, criterion.weight_loss_at_least

    def ask(inquiry: Inquiry) -> Verdict:
        for trend in trends_for(criterion, inquiry):
            loss, latest = trend.loss_percent, trend.latest
            if loss is None or latest is None or trend.reference is None:
                continue
            enough = (above is None or loss > above) and (at_least is None or loss >= at_least)
            if enough and not (criterion.two_low_weights and trend.second_low is None):
                return Verdict(True, _loss_facts(trend), _dated_by(trend.weights, _is_low(trend, criterion), criterion))
        return inquiry.verdict((), ("observations",))

    return ask


def _is_low(trend: WeightTrend, criterion: Criterion) -> Callable[[Weighed], bool]:
    """Whether the loss counted at a weight already."""
    above, at_least = criterion.weight_loss_above, criterion.weight_loss_at_least
    reference, kg = trend.reference, trend.reference_kg or 1

    def is_low(one: Weighed) -> bool:
        loss = round((kg - one.kg) / kg * 100, DIGITS)
        after = reference is None or one.when > reference.when
        return after and (above is None or loss > above) and (at_least is None or loss >= at_least)

    return is_low


def _dated_by(series: Sequence[T], holds: Callable[[T], bool], criterion: Criterion) -> tuple[ObservationEntry, ...]:
    """What dates a limit that holds at the last of a series: the first since which it holds without a break (A-15).

    With ``last_before`` the one before that: the limit was passed after it, nobody saw when.
    """
    run = sum(1 for _ in takewhile(holds, reversed(series)))
    at = len(series) - run - (1 if criterion.last_before else 0)
    return () if at < 0 else _entry_of(series[at])


def _entry_of(one: Weighed | BodyMass) -> tuple[ObservationEntry, ...]:
    return (one.entry,) if isinstance(one, Weighed) else one.entries[:1]


def _loss_facts(trend: WeightTrend) -> tuple[Fact, ...]:
    facts = []
    if trend.reference is not None and not trend.by_median:
        facts.append(result_fact(trend.reference.entry, "kg", trend.reference.kg, "highest of its half year"))
    if trend.latest is not None and trend.reference_kg is not None and trend.loss_percent is not None:
        basis = "the median of" if trend.by_median else "the weight of"
        words = f"{trend.loss_percent:.1f} % below {basis} {trend.reference_kg:.4g} kg"
        facts.append(result_fact(trend.latest.entry, "kg", trend.latest.kg, words))
    return tuple(facts)


def bmi(criterion: Criterion) -> Ask:
    """The latest body mass index, measured or computed (A-11)."""
    below, at_least = criterion.bmi_below, criterion.bmi_at_least
    words = " and ".join(
        f"{word} {limit:g} kg/m2" for word, limit in (("at least", at_least), ("below", below)) if limit is not None
    )

    def holds(found: BodyMass) -> bool:
        return (below is None or found.value < below) and (at_least is None or found.value >= at_least)

    def ask(inquiry: Inquiry) -> Verdict:
        trends = trends_for(criterion, inquiry)
        for trend in trends:
            if trend.bmi is not None and holds(trend.bmi):
                return Verdict(True, (_bmi_fact(trend.bmi, trend, words),), _dated_by(trend.bmis, holds, criterion))
        seen = inquiry.verdict((), ("observations",))
        if any(trend.bmi_if_grown is not None and holds(trend.bmi_if_grown) for trend in trends):
            return Verdict(None, missing=(BIRTH_DATE, *seen.missing))
        return seen

    return ask


def _bmi_fact(found: BodyMass, trend: WeightTrend, words: str) -> Fact:
    first = found.entries[0]
    if len(found.entries) == 1:
        return result_fact(first, "kg/m2", found.value, words)
    said = f"body mass index {found.value:.1f} kg/m2, {words}"
    return result_fact(first, "kg", trend.weights[-1].kg, said)


def weight_stable(_: Criterion) -> Ask:
    """All weights within a few percent over most of a year (B-75). More data could only show that it is not."""

    def ask(inquiry: Inquiry) -> Verdict:
        trend = inquiry.facts.weight
        if not trend.stable:
            return inquiry.verdict((), ("observations",))
        return Verdict(True, entries=tuple(w.entry for w in trend.weights))

    return ask


def weight_intent(criterion: Criterion) -> Ask:
    """Whether a loss would be intended (or explained), unintended, or nobody said."""
    wanted = criterion.weight_intent

    def ask(inquiry: Inquiry) -> Verdict:
        trend = inquiry.facts.weight
        if trend.intent != wanted:
            return FALSE if wanted == "unknown" else inquiry.verdict((), ("conditions",))
        return inquiry.verdict(trend.intent_entries, ()) if trend.intent_entries else Verdict(True)

    return ask
