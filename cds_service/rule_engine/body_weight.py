"""Questions about weight: how much was lost, whether that is sure, intended or stable, and the body mass index."""

from __future__ import annotations

from itertools import takewhile

from cds_service.derive.index import RecordIndex
from cds_service.derive.weight import DIGITS, BodyMass, Weighed, WeightTrend, weight_trend
from cds_service.record import BIRTH_DATE, ObservationEntry
from cds_service.rule_engine.criterion import Criterion
from cds_service.rule_engine.expression import FALSE
from cds_service.rule_engine.inquiry import Inquiry, newest_onset, result_fact
from cds_service.rule_engine.model import Fact, Verdict
from cds_service.rule_engine.relations import Ask


def trend_for(criterion: Criterion, inquiry: Inquiry) -> WeightTrend:
    """The weights as they stand today, or as they stood on the day of the newest entry of the criterion ``at``."""
    facts = inquiry.facts
    if criterion.at is None:
        return facts.weight
    day = newest_onset(inquiry.ask(criterion.at).entries)
    if day is None:
        return WeightTrend()
    return weight_trend(RecordIndex(facts.record, day.latest), facts.weight_knowledge, facts.units)


def weight_loss(criterion: Criterion) -> Ask:
    """The loss against the reference in percent, plain arithmetic whatever the intent (section 5, B-40, B-75)."""
    above, at_least = criterion.weight_loss_above, criterion.weight_loss_at_least

    def ask(inquiry: Inquiry) -> Verdict:
        trend = trend_for(criterion, inquiry)
        loss, latest = trend.loss_percent, trend.latest
        if loss is None or latest is None or trend.reference is None:
            return inquiry.verdict((), ("observations",))
        enough = (above is None or loss > above) and (at_least is None or loss >= at_least)
        if not enough or (criterion.two_low_weights and trend.second_low is None):
            return inquiry.verdict((), ("observations",))
        return Verdict(True, _loss_facts(trend), (_first_low(trend, criterion),))

    return ask


def _first_low(trend: WeightTrend, criterion: Criterion) -> ObservationEntry:
    """The weight at which the present loss began to count: its onset (A-15)."""
    above, at_least = criterion.weight_loss_above, criterion.weight_loss_at_least
    reference, kg = trend.reference, trend.reference_kg or 1

    def is_low(one: Weighed) -> bool:
        loss = round((kg - one.kg) / kg * 100, DIGITS)
        after = reference is None or one.when > reference.when
        return after and (above is None or loss > above) and (at_least is None or loss >= at_least)

    return tuple(takewhile(is_low, reversed(trend.weights)))[-1].entry


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
        trend = trend_for(criterion, inquiry)
        found, if_grown = trend.bmi, trend.bmi_if_grown
        if found is not None and holds(found):
            onset = tuple(takewhile(holds, reversed(trend.bmis)))[-1].entries[:1]  # since when it holds
            first = found.entries[0]
            if len(found.entries) == 1:
                return Verdict(True, (result_fact(first, "kg/m2", found.value, words),), onset)
            said = f"body mass index {found.value:.1f} kg/m2, {words}"
            return Verdict(True, (result_fact(first, "kg", trend.weights[-1].kg, said),), onset)
        seen = inquiry.verdict((), ("observations",))
        if if_grown is not None and holds(if_grown):
            return Verdict(None, missing=(BIRTH_DATE, *seen.missing))
        return seen

    return ask


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
