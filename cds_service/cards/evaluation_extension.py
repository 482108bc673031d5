"""The response extension ``org.atrophy-cds.evaluation``: every rule's answer, every source's state (P-23)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cds_service.cards.disputed import called_wrong
from cds_service.record import Source
from cds_service.rule_engine.model import Assessment, Evaluation, Status
from cds_service.rule_engine.rulebook import RuleBook

NAME = "org.atrophy-cds.evaluation"


def evaluation_extension(
    evaluation: Evaluation, pack_hash: str, notes: Mapping[str, tuple[str, str]]
) -> dict[str, Any]:
    """The extension object. ``notes`` are the rules whose status the cards changed: id to (status, reason).

    ``calledWrong``: how many resources the rules did not see because a user called them wrong; ``sources`` names them.
    """
    facts = evaluation.facts
    wrong = called_wrong(facts.record)
    return {
        "asOf": facts.as_of.isoformat(timespec="seconds"),
        "rulePack": pack_hash,
        "tier": evaluation.tier_sentence or evaluation.tier,
        **({"calledWrong": wrong} if wrong else {}),
        "riskDomains": [domain.name for domain in facts.risk_domains],
        "contradictions": [
            {"name": c.name, "references": [fact.reference for fact in c.facts]} for c in evaluation.contradictions
        ],
        "sources": [_source(source) for source in facts.record.sources.values()],
        "rules": [_rule(assessment, notes) for assessment in evaluation.assessments],
    }


def without_asking(book: RuleBook, as_of: datetime, pack_hash: str, off: Mapping[str, str]) -> dict[str, Any]:
    """The extension object while every rule is off: nothing was read, each rule says why."""
    rules = [Assessment(c.rule, Status.SUPPRESSED, off[c.rule.id]) for c in book.by_number]
    return {
        "asOf": as_of.isoformat(timespec="seconds"),
        "rulePack": pack_hash,
        "rules": [_rule(assessment, {}) for assessment in rules],
    }


def _source(source: Source) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": source.name, "origin": source.origin, "state": source.state.value}
    if source.cause:
        shown["cause"] = source.cause
    if source.harmless_outcomes:
        shown["harmlessOutcomes"] = source.harmless_outcomes
    if source.set_aside:
        shown["setAside"] = [{"reference": s.reference, "reason": s.reason} for s in source.set_aside]
    return shown


def _rule(assessment: Assessment, notes: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    rule = assessment.rule
    status, reason = notes.get(rule.id, (assessment.status.value, assessment.reason))
    return {"id": rule.id, "version": rule.version, "status": status, "reason": reason}
