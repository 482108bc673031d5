"""Each named criterion of a rule becomes one function from a patient's inquiry to true, false or unknown."""

from __future__ import annotations

from collections.abc import Callable

from cds_service.derive.findings import Finding
from cds_service.derive.risk_domains import age_in_years
from cds_service.derive.steroid_exposure import SteroidExposure
from cds_service.derive.strength import strength_falls
from cds_service.record import ConditionEntry, SourceName
from cds_service.rule_engine import care
from cds_service.rule_engine.expression import FALSE, TRUE
from cds_service.rule_engine.inquiry import MEDICATIONS, Inquiry, course_fact
from cds_service.rule_engine.model import Criterion, Status, Verdict
from cds_service.rule_engine.selection import Sited, narrowings, status_filter

Ask = Callable[[Inquiry], Verdict]
BIRTH_DATE = "birthDate"


def compile_criterion(criterion: Criterion, measured_kinds: frozenset[str]) -> Ask:
    """The function for the one thing a criterion asks. Raises ValueError unless it asks exactly one."""
    builders = {
        "finding": lambda c: _finding(c, measured_kinds),
        **_BUILDERS,
    }
    asked = {group for name, group in _GROUP_OF.items() if getattr(criterion, name) not in (None, (), False)}
    if len(asked) != 1:
        raise ValueError("a criterion asks exactly one thing (condition, finding, done, visit, age_at_least ...)")
    return builders[asked.pop()](criterion)


def _condition(criterion: Criterion) -> Ask:
    sets, keep, steps = frozenset(criterion.condition), status_filter(criterion), narrowings(criterion)

    def ask(inquiry: Inquiry) -> Verdict:
        found: list[Sited] = [c for c in inquiry.record.conditions if not sets.isdisjoint(c.sets) and keep(c, inquiry)]
        for step in steps:
            if not found:
                break
            found = step(found, inquiry)
        return inquiry.verdict(found, ("conditions",))

    return ask


def _finding(criterion: Criterion, measured_kinds: frozenset[str]) -> Ask:
    kinds, steps = frozenset(criterion.finding), narrowings(criterion)
    sources: tuple[SourceName, ...] = ("conditions",) if kinds - measured_kinds else ()
    if kinds & measured_kinds:
        sources = (*sources, "observations")
    confirmed = criterion.confirmed

    def ask(inquiry: Inquiry) -> Verdict:
        found: list[Sited] = [f for f in inquiry.facts.findings if f.kind in kinds and (not confirmed or _sure(f))]
        for step in steps:
            if not found:
                break
            found = step(found, inquiry)
        return inquiry.verdict(found, sources)

    return ask


def _sure(finding: Finding) -> bool:
    entry = finding.entry
    return not isinstance(entry, ConditionEntry) or entry.verification_status in (None, "confirmed")


def _family_history(criterion: Criterion) -> Ask:
    sets = frozenset(criterion.family_history)
    return lambda inquiry: inquiry.verdict(
        [f for f in inquiry.record.family_history if not sets.isdisjoint(f.sets)], ("familyHistory",)
    )


def _strength_fall(_: Criterion) -> Ask:
    return lambda inquiry: inquiry.verdict(
        strength_falls(inquiry.record, inquiry.facts.knowledge, inquiry.as_of), ("observations",)
    )


def _steroid(criterion: Criterion) -> Ask:
    def holds(inquiry: Inquiry) -> bool:
        exposure = inquiry.facts.exposure
        since = exposure.days_since_last
        current, ended = criterion.current_within_days, criterion.ended_within_days
        return (
            (criterion.steroid_level_at_least is None or exposure.level >= criterion.steroid_level_at_least)
            and (criterion.steroid_level_at_most is None or exposure.level <= criterion.steroid_level_at_most)
            and (criterion.steroid_is_certain is None or criterion.steroid_is_certain is not _is_uncertain(exposure))
            and (
                criterion.fluorinated_days_at_least is None
                or exposure.fluorinated_days >= criterion.fluorinated_days_at_least
            )
            and all(limit is None or (since is not None and since <= limit) for limit in (current, ended))
        )

    def ask(inquiry: Inquiry) -> Verdict:
        if holds(inquiry):
            return Verdict(True, tuple(course_fact(course) for course in inquiry.facts.exposure.basis))
        return FALSE if inquiry.medications_seen() else Verdict(None, missing=(MEDICATIONS,))

    return ask


def _is_uncertain(exposure: SteroidExposure) -> bool:
    return exposure.is_uncertain or exposure.dose_unknown


def _age(criterion: Criterion) -> Ask:
    low, high = criterion.age_at_least, criterion.age_below

    def ask(inquiry: Inquiry) -> Verdict:
        age = age_in_years(inquiry.record.birth_date, inquiry.as_of)
        if age is None:
            return Verdict(None, missing=(BIRTH_DATE,))
        return TRUE if (low is None or age >= low) and (high is None or age < high) else FALSE

    return ask


def _risk_domains(criterion: Criterion) -> Ask:
    least = criterion.risk_domains_at_least or 0

    def ask(inquiry: Inquiry) -> Verdict:
        if len(inquiry.facts.risk_domains) >= least:
            return TRUE
        seen = inquiry.verdict((), ("conditions", "patient"))
        return seen if inquiry.medications_seen() else Verdict(None, missing=(*seen.missing, MEDICATIONS))

    return ask


def _rule_fired(criterion: Criterion) -> Ask:
    names = criterion.rule_fired

    def ask(inquiry: Inquiry) -> Verdict:
        answers = [inquiry.earlier[name].status for name in names if name in inquiry.earlier]
        if Status.FIRED in answers:
            return TRUE
        return Verdict(None, missing=names) if Status.UNKNOWN in answers else FALSE

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
    "steroid_level_at_least": "steroid",
    "fluorinated_days_at_least": "steroid",
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
    "steroid": _steroid,
    "age": _age,
    "risk_domains": _risk_domains,
}
