"""What was answered before: when a card stays away, when a critical one no longer stands alone (A-16, B-25, B-51)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal, Protocol

from cds_service.cards.knowledge import CardDeck
from cds_service.rule_engine.model import Assessment, Fact, Facts, Rule

Evidence = str
GAP_RULE = "record-gaps"


class Answer(Protocol):
    """The newest thing that a user did with a card of a rule."""

    @property
    def outcome(self) -> Literal["accepted", "overridden"]: ...
    @property
    def at(self) -> datetime: ...
    @property
    def reason_code(self) -> str | None: ...


class Memory(Protocol):
    """What one client was shown about one patient and what it answered."""

    def answer(self, rule_id: str, evidence: Evidence) -> Answer | None:
        """The newest answer to a card with this rule on this evidence; None if there was none."""

    def first_shown(self, rule_id: str, evidence: Evidence) -> datetime | None:
        """When a card first showed this rule on this evidence; None if never."""


class NoMemory:
    """Nothing is kept: nothing is snoozed, and what waits behind a critical card is one line under it (A-16, B-25)."""

    def answer(self, rule_id: str, evidence: Evidence) -> None:
        """Nobody answered."""

    def first_shown(self, rule_id: str, evidence: Evidence) -> None:
        """Never shown."""


NO_MEMORY = NoMemory()


def evidence_of(assessment: Assessment, facts: Facts) -> Evidence:
    """What identifies the evidence of a fired rule, as one text (B-51): it changes when the evidence does.

    Finding level, steroid level, the limits that were crossed, each concept with its onset and each steroid course with
    its documented start; no ages, durations, resource ids or rule version. A concept that is only recorded has no date:
    coded again it is not new (B-01).
    """
    marks = sorted({_mark(fact) for fact in assessment.grounds or assessment.facts} - {""})
    return "\n".join((f"F{facts.finding_level}", f"GC{facts.exposure.level}", *marks))


def gap_evidence(gaps: Iterable[str]) -> Evidence:
    """What identifies the evidence of the gap card: the gaps that it names."""
    return "\n".join(sorted(gaps))


def snoozed_until(answer: Answer, assessment: Assessment, deck: CardDeck) -> datetime | None:
    """Until when an answered card stays away; None when the answer does not silence it. Critical cards never do."""
    if assessment.indicator is None or assessment.indicator == "critical":
        return None
    days = _snooze_days(answer, assessment.rule, assessment.indicator, deck)
    return None if days is None else answer.at + timedelta(days=days)


def gap_snoozed_until(answer: Answer, deck: CardDeck) -> datetime:
    """Until when an answered gap card stays away while the same things are missing (P-04, A-16)."""
    reason = deck.cards.override_reasons.get(answer.reason_code or "")
    days = reason.snooze_days if reason is not None else None
    return answer.at + timedelta(days=deck.cards.snooze_days.without_reason.info if days is None else days)


def lowered_until(answer: Answer, deck: CardDeck) -> datetime | None:
    """Until when an unchanged critical card is a warning, because it was assessed today (B-25)."""
    reason = deck.cards.override_reasons.get(answer.reason_code or "")
    if answer.outcome != "overridden" or reason is None or reason.lowers_critical_hours is None:
        return None
    return answer.at + timedelta(hours=reason.lowers_critical_hours)


def _snooze_days(answer: Answer, rule: Rule, indicator: str, deck: CardDeck) -> int | None:
    written = deck.cards.snooze_days
    reason = deck.cards.override_reasons.get(answer.reason_code or "")
    if reason is not None and rule.number in reason.snoozes_not:
        return None
    if rule.snooze_days is not None and not (reason is not None and reason.ignores_rule_snooze):
        return rule.snooze_days
    if answer.outcome == "accepted" or answer.reason_code is None:
        by_indicator = written.accepted if answer.outcome == "accepted" else written.without_reason
        return by_indicator.warning if indicator == "warning" else by_indicator.info
    return written.other_reason if reason is None or reason.snooze_days is None else reason.snooze_days


def _mark(fact: Fact) -> str:
    """A fact as it counts in a fingerprint; empty when it does not."""
    what = fact.code or fact.label
    match fact.date_kind:
        case "onset" | "since":
            return f"{what} {fact.date}"
        case "measured":
            return f"{what} {fact.threshold}" if fact.threshold else what
        case "recorded" | None:
            return what
        case _:
            return ""
