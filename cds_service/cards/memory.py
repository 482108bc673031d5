"""What was shown and answered before: when a card stays away, when a critical one stands alone (A-16, B-25, B-51)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from typing import Literal, Protocol

from cds_service.cards.knowledge import CardDeck
from cds_service.fhir.versions import ResourceVersion
from cds_service.rule_engine.criterion import Indicator
from cds_service.rule_engine.model import INDICATOR_RANK, Assessment, Fact, Facts, Rule

Evidence = str
Repeat = Literal["until-answered", "once"]
Outcome = Literal["accepted", "overridden"]
IsDisputed = Callable[[ResourceVersion], bool]
GAP_RULE = "record-gaps"


class Showing(Protocol):
    """That a card showed a rule: when, and as what."""

    @property
    def at(self) -> datetime: ...
    @property
    def indicator(self) -> Indicator: ...


class Answer(Protocol):
    """The newest thing that a user did with a card of a rule. ``indicator`` is the card's."""

    @property
    def outcome(self) -> Outcome: ...
    @property
    def at(self) -> datetime: ...
    @property
    def reason_code(self) -> str | None: ...
    @property
    def indicator(self) -> Indicator: ...


class Memory(Protocol):
    """What one client was shown about one patient and what it answered."""

    def answer(self, rule_id: str, evidence: Evidence) -> Answer | None:
        """The newest answer to a card with this rule on this evidence; None if there was none."""

    def first_shown(self, rule_id: str, evidence: Evidence) -> datetime | None:
        """When a card first showed this rule on this evidence; None if never."""

    def last_shown(self, rule_id: str, evidence: Evidence) -> Showing | None:
        """The newest card that showed this rule on this evidence; None if there was none."""

    def disputed(self, reasons: Collection[str]) -> IsDisputed | None:
        """Whether a version is one that a card cited whose newest answer has such a reason; None: no card has."""


class NoMemory:
    """Nothing is kept: nothing is snoozed, and what waits behind a critical card is one line under it (A-16, B-25)."""

    def answer(self, rule_id: str, evidence: Evidence) -> None:
        """Nobody answered."""

    def first_shown(self, rule_id: str, evidence: Evidence) -> None:
        """Never shown."""

    def last_shown(self, rule_id: str, evidence: Evidence) -> None:
        """Never shown."""

    def disputed(self, reasons: Collection[str]) -> None:
        """Nobody called anything wrong."""


NO_MEMORY = NoMemory()


def evidence_of(assessment: Assessment, facts: Facts) -> Evidence:
    """What identifies the evidence of a fired rule, as one text (B-51): it changes when the evidence does.

    Finding level, steroid level, the limits that were crossed, each concept with its onset (a procedure or a stay with
    its day) and each steroid course with its documented start; no ages, durations, resource ids or rule version. A
    concept that is only recorded, or a start that is assumed, has no date: coded again it is not new (B-01).
    """
    marks = sorted({_mark(fact) for fact in assessment.grounds or assessment.facts})
    return "\n".join((f"F{facts.finding_level}", f"GC{facts.exposure.level}", *marks))


def gap_evidence(gaps: Iterable[str]) -> Evidence:
    """What identifies the evidence of the gap card: the gaps that it names."""
    return "\n".join(sorted(gaps))


def snoozed_until(answer: Answer, assessment: Assessment, deck: CardDeck) -> datetime | None:
    """Until when an answered card stays away; None when the answer does not silence it.

    Critical cards are never silenced (A-16), nor is a rule that has become more urgent than the card that was answered.
    """
    if assessment.indicator is None or not _covers(answer, assessment.indicator):
        return None
    days = days_away(answer.outcome, answer.reason_code, assessment.rule, assessment.indicator, deck)
    return None if days is None else answer.at + timedelta(days=days)


def hidden_until(shown: Showing, assessment: Assessment, deck: CardDeck) -> datetime | None:
    """Until when a card that was only shown stays away from a client that wants it once (A-16); critical: never."""
    if assessment.indicator is None or not _covers(shown, assessment.indicator):
        return None
    days = deck.cards.snooze_days.shown_once.of(assessment.indicator)
    return None if days is None else shown.at + timedelta(days=days)


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


def days_away(
    outcome: Outcome, reason_code: str | None, rule: Rule, indicator: Indicator, deck: CardDeck
) -> int | None:
    """How many days an answer silences a rule on unchanged evidence (B-51, B-80); None: not at all."""
    written = deck.cards.snooze_days
    reason = None if outcome == "accepted" else deck.cards.override_reasons.get(reason_code or "")
    if indicator == "critical" or (reason is not None and (reason.disputes or rule.number in reason.snoozes_not)):
        return None
    if rule.snooze_days is not None:
        return rule.snooze_days
    if outcome == "accepted" or reason_code is None:
        return (written.accepted if outcome == "accepted" else written.without_reason).of(indicator)
    return written.other_reason if reason is None or reason.snooze_days is None else reason.snooze_days


def _covers(earlier: Answer | Showing, indicator: Indicator) -> bool:
    """Whether what was shown then was at least as urgent as this is now."""
    return INDICATOR_RANK[earlier.indicator] >= INDICATOR_RANK[indicator]


def _mark(fact: Fact) -> str:
    """A fact as it counts in a fingerprint: its concept, with the day it began or the limit that it crossed."""
    what = fact.code or fact.label
    match fact.date_kind:
        case "onset" | "since" | "weekly-since" | "done" | "seen":
            return f"{what} {fact.date}"
        case "measured":
            return f"{what} {fact.threshold}" if fact.threshold else what
        case _:
            return what
