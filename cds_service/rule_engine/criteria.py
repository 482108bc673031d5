"""Each named criterion of a rule becomes one function from a patient's inquiry to true, false or unknown."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from cds_service.derive.age import is_at_least
from cds_service.derive.findings import Finding
from cds_service.derive.strength import strength_falls
from cds_service.record import BIRTH_DATE, GENDER, ConditionEntry, SourceName
from cds_service.rule_engine import body_weight, care, courses, exposure
from cds_service.rule_engine.criterion import (
    Criterion,
    Indicator,
)
from cds_service.rule_engine.expression import FALSE, TRUE, joined
from cds_service.rule_engine.inquiry import MEDICATIONS, Inquiry, onset_of
from cds_service.rule_engine.model import Status, Verdict
from cds_service.rule_engine.narrowing import narrowed
from cds_service.rule_engine.results import result
from cds_service.rule_engine.selection import narrowings, status_filter

Ask = Callable[[Inquiry], Verdict]


def compile_criterion(criterion: Criterion, measured_kinds: frozenset[str]) -> Ask:
    """The function for the one thing a criterion asks. Raises ValueError unless it asks exactly one."""
    builders = {
        "finding": lambda c: _finding(c, measured_kinds),
        **_BUILDERS,
    }
    asked = {group for name, group in _GROUP_OF.items() if _is_asked(getattr(criterion, name))}
    if len(asked) != 1:
        raise ValueError("a criterion asks exactly one thing (condition, finding, done, visit, age_at_least ...)")
    return builders[asked.pop()](criterion)


def _is_asked(written: object) -> bool:
    """A limit of 0 is asked; what was left out is not."""
    return written is not None and written is not False and written != ()


def _condition(criterion: Criterion) -> Ask:
    sets, keep, steps = criterion.condition, status_filter(criterion), narrowings(criterion)
    wants_active = criterion.status == "active"

    def ask(inquiry: Inquiry) -> Verdict:
        held = inquiry.index.active_conditions if wants_active else inquiry.index.conditions
        found = narrowed([c for c in held.of(sets) if keep(c)], steps, inquiry)
        if found and criterion.onset_age_below is not None and inquiry.record.birth_date is None:
            return Verdict(None, missing=(BIRTH_DATE,))
        return inquiry.verdict(found, ("conditions",))

    return ask


def _finding(criterion: Criterion, measured_kinds: frozenset[str]) -> Ask:
    kinds, steps = frozenset(criterion.finding), narrowings(criterion)
    sources: tuple[SourceName, ...] = ("conditions",) if kinds - measured_kinds else ()
    if kinds & measured_kinds:
        sources = (*sources, "observations")
    confirmed = criterion.confirmed

    at_any_start = narrowings(msgspec.structs.replace(criterion, since_steroid_start=False))

    def ask(inquiry: Inquiry) -> Verdict:
        held = [f for f in inquiry.facts.findings if f.kind in kinds and (not confirmed or _sure(f))]
        found = narrowed(held, steps, inquiry)
        if criterion.since_steroid_start and not inquiry.medications_seen():
            # T23: what is not read may have begun earlier, or later. Only a finding without any date, or one after a
            # start that was read, is one in any case.
            started = inquiry.facts.exposure.started
            found = [f for f in found if started is not None or onset_of(f) is None]
            if not found and narrowed(held, at_any_start, inquiry):
                return Verdict(None, missing=(MEDICATIONS,))
        seen = inquiry.verdict(found, sources)
        by_sex = [f for f in inquiry.facts.findings_by_sex if f.kind in kinds]
        if by_sex and not found and narrowed(by_sex, steps, inquiry):
            return Verdict(None, missing=(GENDER, *seen.missing))
        return seen

    return ask


def _sure(finding: Finding) -> bool:
    entry = finding.entry
    return not isinstance(entry, ConditionEntry) or entry.verification_status in (None, "confirmed")


def _family_history(criterion: Criterion) -> Ask:
    sets = frozenset(criterion.family_history)
    return lambda inquiry: inquiry.verdict(
        [f for f in inquiry.record.family_history if not sets.isdisjoint(f.sets)], ("familyHistory",)
    )


def _strength_fall(criterion: Criterion) -> Ask:
    steps = narrowings(criterion)

    def ask(inquiry: Inquiry) -> Verdict:
        falls = strength_falls(inquiry.record, inquiry.facts.knowledge, inquiry.as_of)
        placed = [Finding("strength-fall", 0, result, result.effective, site=result.site) for result in falls]
        found = narrowed(placed, steps, inquiry)
        return inquiry.verdict([fall.entry for fall in found if isinstance(fall, Finding)], ("observations",))

    return ask


def _age(criterion: Criterion) -> Ask:
    low, high = criterion.age_at_least, criterion.age_below

    def ask(inquiry: Inquiry) -> Verdict:
        born, as_of = inquiry.record.birth_date, inquiry.as_of
        old_enough = True if low is None else is_at_least(low, born, as_of)
        too_old = False if high is None else is_at_least(high, born, as_of)
        if old_enough is False or too_old is True:
            return FALSE
        return TRUE if old_enough and too_old is False else Verdict(None, missing=(BIRTH_DATE,))

    return ask


def _risk_domains(criterion: Criterion) -> Ask:
    least = criterion.risk_domains_at_least or 0

    def ask(inquiry: Inquiry) -> Verdict:
        if len(inquiry.facts.risk_domains) >= least:
            return TRUE
        missing = inquiry.verdict((), ("conditions", "patient")).missing
        if not inquiry.medications_seen():
            missing = (*missing, MEDICATIONS)
        unjudged = inquiry.facts.unjudged_domains
        if len(inquiry.facts.risk_domains) + len(unjudged) >= least:
            missing = (*missing, *(name for names in unjudged.values() for name in names))
        return Verdict(None, missing=tuple(dict.fromkeys(missing))) if missing else FALSE

    return ask


def _rule_answered(names: tuple[str, ...], wanted: frozenset[Status], indicator: Indicator | None = None) -> Ask:
    def ask(inquiry: Inquiry) -> Verdict:
        answers = [inquiry.earlier[name] for name in names if name in inquiry.earlier]
        if any(a.status in wanted and indicator in (None, a.indicator) for a in answers):
            return TRUE
        missing = tuple(name for answer in answers if answer.status is Status.UNKNOWN for name in answer.missing)
        unknown = any(answer.status is Status.UNKNOWN for answer in answers)
        return Verdict(None, missing=tuple(dict.fromkeys(missing)) or names) if unknown else FALSE

    return ask


def _rule_fired(criterion: Criterion) -> Ask:
    return _rule_answered(criterion.rule_fired, frozenset({Status.FIRED}), criterion.fired_as)


def _rule_matched(criterion: Criterion) -> Ask:
    """Its pattern held, whether or not something then silenced it."""
    return _rule_answered(criterion.rule_matched, frozenset({Status.FIRED, Status.SUPPRESSED}))


def _points(criterion: Criterion) -> Ask:
    """So many of several criteria, less those that speak against; an unknown deduction takes nothing (B-26)."""
    names, minus, least = criterion.points, criterion.minus, criterion.points_at_least

    def ask(inquiry: Inquiry) -> Verdict:
        verdicts = [inquiry.ask(name) for name in names]
        held = [verdict for verdict in verdicts if verdict.value]
        unsure = [verdict for verdict in verdicts if verdict.value is None]
        against = sum(inquiry.ask(name).value is True for name in minus)
        if len(held) - against >= least:
            return joined(held)
        if len(held) + len(unsure) - against >= least:
            return Verdict(None, missing=tuple(dict.fromkeys(name for v in unsure for name in v.missing)))
        return FALSE

    return ask


_GROUP_OF = {
    "condition": "condition",
    "finding": "finding",
    "family_history": "family_history",
    "done": "done",
    "visit": "visit",
    "setting": "visit",
    "planned_for": "planned_for",
    "strength_fall": "strength_fall",
    "rule_fired": "rule_fired",
    "rule_matched": "rule_matched",
    "medication": "medication",
    "activity_minutes_below": "activity_minutes",
    "activity_minutes_at_most": "activity_minutes",
    "audit_c_positive": "audit_c_positive",
    "falls_at_least": "falls",
    "worsening": "worsening",
    "strength_worse": "strength_worse",
    "trend": "trend",
    "plan": "plan",
    "points": "points",
    "result": "result",
    "weight_loss_above": "weight_loss",
    "weight_loss_at_least": "weight_loss",
    "bmi_below": "bmi",
    "bmi_at_least": "bmi",
    "weight_stable": "weight_stable",
    "weight_intent": "weight_intent",
    "steroid_level_at_least": "steroid",
    "fluorinated_days_at_least": "steroid",
    "steroid_daily_mg_below": "steroid",
    "steroid_pulse_within_days": "steroid_pulse",
    "age_at_least": "age",
    "age_below": "age",
    "risk_domains_at_least": "risk_domains",
}
_BUILDERS: dict[str, Callable[[Criterion], Ask]] = {
    "condition": _condition,
    "family_history": _family_history,
    "done": care.done,
    "visit": care.visit,
    "planned_for": care.planned_for,
    "strength_fall": _strength_fall,
    "rule_fired": _rule_fired,
    "rule_matched": _rule_matched,
    "medication": courses.medication,
    "activity_minutes": courses.activity_minutes,
    "audit_c_positive": courses.audit_c_positive,
    "falls": courses.falls,
    "worsening": courses.worse,
    "strength_worse": courses.strength_worse,
    "trend": courses.trend,
    "plan": care.plan,
    "points": _points,
    "result": result,
    "weight_loss": body_weight.weight_loss,
    "bmi": body_weight.bmi,
    "weight_stable": body_weight.weight_stable,
    "weight_intent": body_weight.weight_intent,
    "steroid": exposure.steroid,
    "steroid_pulse": exposure.steroid_pulse,
    "age": _age,
    "risk_domains": _risk_domains,
}
