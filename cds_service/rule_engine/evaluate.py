"""Ask every rule about one patient: patterns first, then what silences them, then the tier, then who carries whom."""

from __future__ import annotations

from collections.abc import Mapping
from time import thread_time

import msgspec

from cds_service.derive.age import is_at_least
from cds_service.derive.findings import Finding
from cds_service.record import BIRTH_DATE
from cds_service.rule_engine.expression import FALSE, Ask, names_in
from cds_service.rule_engine.inquiry import Inquiry, newest_onset
from cds_service.rule_engine.model import (
    INDICATOR_RANK,
    Assessment,
    Evaluation,
    Facts,
    OfferedOrder,
    Rule,
    Status,
    Verdict,
)
from cds_service.rule_engine.rulebook import CompiledFires, CompiledOffer, CompiledRule, RuleBook
from cds_service.rule_engine.tier import Tier, decide_tier, with_steroid_dose

REASONS_NAMED = 3
NOTHING_OFF: Mapping[str, str] = {}


def evaluate(
    book: RuleBook, facts: Facts, off: Mapping[str, str] = NOTHING_OFF, spent: dict[str, float] | None = None
) -> Evaluation:
    """The answer of every rule, in the order of the rule numbers, and the tier that the facts reach (section 6).

    ``off`` are rules that are not asked, by id with the reason: they take no finding. ``spent`` takes the seconds of
    processor time that each rule which was asked needed.
    """
    if facts.record.deceased:
        dead = tuple(Assessment(c.rule, Status.SUPPRESSED, "deceased") for c in book.by_number)
        return Evaluation(facts, "0", book.tiers.deceased, dead)
    gates = Inquiry(facts, book.gates)
    answers, inquiries = _answers(book, gates, off, spent)
    cause = Inquiry(facts, book.gates, gates, answers).ask("cause_recorded")
    tier = decide_tier(facts, answers.values(), book.tiers, explained=bool(cause.value))
    palliative = bool(gates.ask("palliative_care").value)
    final = {rule_id: _under_tier(a, tier, book, palliative=palliative) for rule_id, a in answers.items()}
    final = {rule_id: _worded(a, facts, book) for rule_id, a in final.items()}
    assessments = tuple(_carried(final[c.rule.id], final) for c in book.by_number)
    fired = [a.rule.id for a in assessments if a.status is Status.FIRED]
    contradictions = book.contradictions.bearing_on(fired, facts, gates)
    return Evaluation(
        facts, tier.name, tier.sentence, assessments, contradictions, _Verdicts(inquiries), tuple(sorted(off))
    )


class _Verdicts:
    """What was asked of a patient, kept as long as its evaluation: a criterion not asked before is asked then."""

    def __init__(self, inquiries: Mapping[str, tuple[CompiledRule, Inquiry]]) -> None:
        self._inquiries = inquiries

    def __call__(self, rule_id: str) -> Mapping[str, Verdict]:
        if rule_id not in self._inquiries:
            return {}
        compiled, inquiry = self._inquiries[rule_id]
        return {name: inquiry.ask(name) for name in compiled.deciding}


def _answers(
    book: RuleBook, gates: Inquiry, off: Mapping[str, str], spent: dict[str, float] | None
) -> tuple[dict[str, Assessment], Mapping[str, tuple[CompiledRule, Inquiry]]]:
    """What each rule says by itself, and what was asked. One that is off is for the others not there."""
    answers: dict[str, Assessment] = {}
    not_asked: dict[str, Assessment] = {}
    inquiries: dict[str, tuple[CompiledRule, Inquiry]] = {}
    for compiled in book.in_order:
        rule = compiled.rule
        if rule.id in off:
            not_asked[rule.id] = Assessment(rule, Status.SUPPRESSED, off[rule.id])
            continue
        began = thread_time()
        inquiry = Inquiry(gates.facts, compiled.criteria, gates, answers)
        answers[rule.id] = assess(compiled, inquiry)
        inquiries[rule.id] = compiled, inquiry
        if spent is not None:
            spent[rule.id] = thread_time() - began
    return {**answers, **not_asked}, inquiries


def assess(compiled: CompiledRule, inquiry: Inquiry) -> Assessment:
    """One rule's own answer: which branch holds, whether its age and gates allow it, what it offers."""
    branch, verdict, missing = first_branch(compiled, inquiry.ask)
    if branch is None:
        if missing:
            unknown = Assessment(compiled.rule, Status.UNKNOWN, _could_not(missing), missing=missing)
            return _too_young(compiled.rule, inquiry) or unknown
        if excepted := _exception(compiled, inquiry):
            return Assessment(compiled.rule, Status.NOT_MET, excepted)
        return Assessment(
            compiled.rule, Status.NOT_MET, inquiry.why_not(compiled.rule, compiled.pattern, REASONS_NAMED)
        )
    blocked = _blocked(compiled, inquiry, verdict)
    if blocked is not None:
        return blocked
    return _fired(compiled, branch, verdict, missing, inquiry)


def first_branch(compiled: CompiledRule, ask: Ask) -> tuple[CompiledFires | None, Verdict, tuple[str, ...]]:
    """The first way to fire that holds, its verdict, and what was missing; None when none holds."""
    missing: tuple[str, ...] = ()
    for branch in compiled.fires:
        verdict = branch.when(ask)
        missing += verdict.missing
        if verdict.value:
            exception = branch.unless(ask) if branch.unless else FALSE
            if not exception.value:
                return branch, verdict, (*missing, *exception.missing)
    return None, FALSE, tuple(dict.fromkeys(missing))


def _exception(compiled: CompiledRule, inquiry: Inquiry) -> str | None:
    """Which exception kept a pattern that holds from firing, in the words of its criteria."""
    for branch in compiled.fires:
        if branch.unless is not None and branch.when(inquiry.ask).value and branch.unless(inquiry.ask).value:
            held = [name for name in names_in(branch.written.unless or "") if inquiry.ask(name).value]
            return "excepted: " + "; ".join(compiled.says[name] for name in held)
    return None


def _blocked(compiled: CompiledRule, inquiry: Inquiry, verdict: Verdict) -> Assessment | None:
    """Age, hospice and the rule's own reasons to stay silent (G10, G11). An unknown reason never silences."""
    rule = compiled.rule
    if rule.youngest is not None and is_at_least(rule.youngest, inquiry.record.birth_date, inquiry.as_of) is None:
        return Assessment(rule, Status.UNKNOWN, _could_not((BIRTH_DATE,)), missing=(BIRTH_DATE,))
    if (excluded := _too_young(rule, inquiry)) is not None:
        return excluded
    if not rule.passes_hospice and inquiry.ask("hospice_care").value:
        return Assessment(rule, Status.SUPPRESSED, "hospice-care")
    for suppression, when in compiled.suppressed:
        held = when(inquiry.ask)
        if held.value:
            taken = finding_keys(verdict) if suppression.silences else frozenset()
            return Assessment(rule, Status.SUPPRESSED, suppression.reason, facts=held.facts, findings=taken)
    return None


def _too_young(rule: Rule, inquiry: Inquiry) -> Assessment | None:
    """G11: a known age below the rule's is an answer, whatever else could not be read."""
    if rule.youngest is None or is_at_least(rule.youngest, inquiry.record.birth_date, inquiry.as_of) is not False:
        return None
    return Assessment(rule, Status.NOT_MET, f"for patients of {rule.youngest} years and over")


def _fired(
    compiled: CompiledRule, branch: CompiledFires, verdict: Verdict, missing: tuple[str, ...], inquiry: Inquiry
) -> Assessment:
    rule, ask = compiled.rule, inquiry.ask
    context = tuple(fact for name in rule.context for fact in ask(name).facts if ask(name).value)
    unseen = (
        *missing,
        *(name for _, when in compiled.suppressed for name in when(ask).missing),
        *(name for wanted in rule.looked_for for name in ask(wanted).missing),
    )
    not_found = tuple(rule.criteria[name].says for name in rule.looked_for if ask(name).value is False)
    return Assessment(
        rule,
        Status.FIRED,
        branch.written.name,
        indicator=branch.written.indicator,
        branch=branch.written.name,
        leads=branch.written.leads,
        summary=branch.written.summary or rule.summary,
        opening=branch.written.opening or rule.opening,
        facts=tuple(dict.fromkeys((*verdict.facts, *context))),
        grounds=tuple(dict.fromkeys(fact for f in compiled.fires for fact in f.when(ask).facts)),
        missing=(*not_found, *dict.fromkeys(unseen)),
        offers=tuple(_offered(offer, ask) for offer in compiled.offers if offer.when is None or offer.when(ask).value),
        advice=tuple(advice.text for advice, when in compiled.advice if when is None or when(ask).value),
        findings=finding_keys(verdict),
    )


def _offered(offer: CompiledOffer, ask: Ask) -> OfferedOrder:
    return OfferedOrder(
        offer.written.order,
        preselect=bool(offer.preselect_when and offer.preselect_when(ask).value),
        second=offer.written.second,
        seen_since=newest_onset(offer.seen_since(ask).entries) if offer.seen_since else None,
    )


def finding_keys(verdict: Verdict) -> frozenset[str]:
    """The findings that a verdict rests on (B-93)."""
    return frozenset(entry.key for entry in verdict.entries if isinstance(entry, Finding))


def _under_tier(assessment: Assessment, tier: Tier, book: RuleBook, *, palliative: bool) -> Assessment:
    """The tier decides whether a rule without its own trigger shows a card, and caps its indicator (A-02, B-06)."""
    if assessment.status is not Status.FIRED or assessment.indicator is None:
        return assessment
    rule = assessment.rule
    if palliative and rule.group != "emergency" and assessment.indicator != "critical":  # B-08
        assessment = msgspec.structs.replace(
            assessment, indicator="info", advice=(*assessment.advice, book.tiers.check_goals_of_care)
        )
    if book.own_trigger(assessment):
        return assessment
    if tier.cap is None:
        return Assessment(rule, Status.SUPPRESSED, f"tier-{tier.name}", facts=assessment.facts)
    if INDICATOR_RANK[assessment.indicator or "info"] > INDICATOR_RANK[tier.cap]:
        return msgspec.structs.replace(assessment, indicator=tier.cap)
    return assessment


def _worded(assessment: Assessment, facts: Facts, book: RuleBook) -> Assessment:
    summary = with_steroid_dose(assessment.summary, facts, book.tiers)
    return assessment if summary == assessment.summary else msgspec.structs.replace(assessment, summary=summary)


def _carried(assessment: Assessment, final: Mapping[str, Assessment]) -> Assessment:
    """A rule that another card explains is shown on that card only (A-25, B-29)."""
    if assessment.status is not Status.FIRED:
        return assessment
    fires = next(f for f in assessment.rule.fires if f.name == assessment.branch)
    if not fires.carried:
        return assessment
    carrier = next((r for r in assessment.rule.carried_by if r in final and final[r].status is Status.FIRED), None)
    return assessment if carrier is None else msgspec.structs.replace(assessment, carried_by=carrier)


def _could_not(missing: tuple[str, ...]) -> str:
    return "could not be checked: " + ", ".join(missing)
