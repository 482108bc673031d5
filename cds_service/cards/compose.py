"""From many fired rules to at most three cards: Emergency, Diagnostic, Care, each with one lead (C1-C4, A-25, B-50)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from cds_service.cards.budget import counts_in_budget, over_budget
from cds_service.cards.detail import Draft, highest
from cds_service.cards.gaps import gaps_of
from cds_service.cards.knowledge import CardDeck
from cds_service.cards.memory import (
    GAP_RULE,
    Answer,
    Memory,
    NoMemory,
    evidence_of,
    gap_evidence,
    gap_snoozed_until,
    hidden_until,
    lowered_until,
    snoozed_until,
)
from cds_service.cards.orders import G6_OR_G8, OrderDesk, Remaining
from cds_service.cards.writer import CardContext, CardWriter, ShownCard, could_not_be_done
from cds_service.cds_hooks.response import Card
from cds_service.rule_engine.criterion import Indicator
from cds_service.rule_engine.model import INDICATOR_RANK, Assessment, CardGroup, Evaluation, Facts

__all__ = ["CardContext", "Composed", "ShownCard", "compose", "could_not_be_done"]

GROUPS: tuple[CardGroup, ...] = ("emergency", "diagnostic", "care")
MOST_CARDS = 3  # C1
SUPPRESSED = "suppressed"
NOTHING_LEFT, HELD_BACK = "nothing-left-to-offer", "held-back-by-critical"
SNOOZED, SHOWN_ONCE = "snoozed", "shown-once, hidden"
BUDGET = "budget"

Notes = dict[str, tuple[str, str]]


class Composed(msgspec.Struct, frozen=True):
    """Cards, what to keep of them, and notes: rule id -> (status, reason) where a fired rule is not shown after all.

    ``counted``: how many of the cards count in alert budgets.
    """

    cards: tuple[Card, ...]
    shown: tuple[ShownCard, ...]
    notes: Mapping[str, tuple[str, str]]
    counted: int = 0


def compose(evaluation: Evaluation, deck: CardDeck, memory: Memory, context: CardContext) -> Composed:
    """The cards for one answer, most urgent first."""
    notes: Notes = {}
    fired = _unanswered(evaluation, deck, memory, context, notes)
    drafts = _drafts(fired, evaluation.facts, deck, notes)
    drafts, waiting = _critical_alone(drafts, evaluation.facts, deck, memory, notes)
    drafts = _within_budget(drafts, evaluation.facts, deck, context.room, notes)
    gaps = _unanswered_gaps(evaluation, deck, memory, context)
    beside = len(drafts) < MOST_CARDS
    writer = CardWriter(evaluation, deck, context)
    built = [writer.card(draft, () if beside or at else gaps, waiting) for at, draft in enumerate(drafts)]
    if gaps and beside:
        built.append(writer.gap_card(gaps))
    counted = sum(map(counts_in_budget, drafts))
    return Composed(tuple(card for card, _ in built), tuple(shown for _, shown in built), notes, counted)


# --- which rules speak ------------------------------------------------------------------------------------------------


def _unanswered(
    evaluation: Evaluation, deck: CardDeck, memory: Memory, context: CardContext, notes: Notes
) -> list[Assessment]:
    """Fired rules without those that an answer keeps away, or where that is agreed that they were shown once."""
    spoken: list[Assessment] = []
    for assessment in sorted(evaluation.fired, key=lambda a: a.carried_by is not None):
        evidence = evidence_of(assessment, evaluation.facts)
        answer = memory.answer(assessment.rule.id, evidence)
        until, why = None if answer is None else snoozed_until(answer, assessment, deck), SNOOZED
        if answer is None and context.repeat == "once":
            shown = memory.last_shown(assessment.rule.id, evidence)
            until, why = None if shown is None else hidden_until(shown, assessment, deck), SHOWN_ONCE
        if until is not None and _is_ahead(until, evaluation.facts):
            notes[assessment.rule.id] = (SUPPRESSED, f"{why} until {until:%Y-%m-%d}")
        elif assessment.carried_by in notes:  # its card was answered, its own evidence was not: it speaks for itself
            spoken.append(msgspec.structs.replace(assessment, carried_by=None))
        else:
            spoken.append(_lowered(assessment, answer, evaluation.facts, deck))
    return spoken


def _lowered(assessment: Assessment, answer: Answer | None, facts: Facts, deck: CardDeck) -> Assessment:
    """The assessment; a critical one as a warning while it was assessed today (B-25)."""
    if answer is None or assessment.indicator != "critical" or not _is_ahead(lowered_until(answer, deck), facts):
        return assessment
    return msgspec.structs.replace(assessment, indicator="warning")


def _is_ahead(until: datetime | None, facts: Facts) -> bool:
    return until is not None and until > facts.as_of


def _drafts(fired: list[Assessment], facts: Facts, deck: CardDeck, notes: Notes) -> list[Draft]:
    """One draft per group with something to say. An order stands on the first card that offers it (C3, X1)."""
    desk = OrderDesk(facts, deck.orders) if fired else None
    taken: set[str] = set()
    drafts: list[Draft] = []
    for group in GROUPS:
        members = [a for a in fired if a.carried_by is None and a.rule.card_for(a.indicator) == group]
        if not members or desk is None:
            continue
        members.sort(key=lambda a: _lead_order(a, deck.place(group, a.rule)))
        ids = {a.rule.id for a in members}
        carried = tuple(a for a in fired if a.carried_by in ids)
        left = desk.remaining((*members, *carried))
        if _is_spent(highest((*members, *carried)), left):
            notes.update({a.rule.id: (SUPPRESSED, NOTHING_LEFT) for a in (*members, *carried)})
            continue
        drafts.append(_draft(group, members, carried, left, taken))
        taken.update(k.order.key for k in left.kept)
    return drafts


def _draft(
    group: CardGroup, members: list[Assessment], carried: tuple[Assessment, ...], left: Remaining, taken: set[str]
) -> Draft:
    kept = tuple(k for k in left.kept if k.order.key not in taken)
    there = tuple(key for key, reason in left.dropped.items() if reason in G6_OR_G8)
    return Draft(group, members[0], tuple(members[1:]), carried, kept, there, left.notes)


def _lead_order(assessment: Assessment, place: int) -> tuple[int, bool, int, str]:
    """B-50: the highest indicator, then what says that it leads (B-45), then the list order."""
    return (-INDICATOR_RANK[assessment.indicator or "info"], not assessment.leads, place, assessment.rule.number)


def _is_spent(indicator: Indicator, left: Remaining) -> bool:
    """B-11: an info card all of whose orders G6 or G8 removed. A rule that offers none by design is not meant."""
    removed = [reason for reason in left.dropped.values() if reason in G6_OR_G8]
    return indicator == "info" and bool(removed) and not left.kept and len(removed) == len(left.dropped)


def _critical_alone(
    drafts: list[Draft], facts: Facts, deck: CardDeck, memory: Memory, notes: Notes
) -> tuple[list[Draft], list[str]]:
    """C2, B-25: a critical card is alone until it was answered or first shown 24 hours ago.

    Where nothing is remembered, the titles of the others are one line under it.
    """
    if len(drafts) < 2 or drafts[0].indicator != "critical":  # noqa: PLR2004 - one card is alone already
        return drafts, []
    lead, others = drafts[0].lead, drafts[1:]
    if not isinstance(memory, NoMemory):
        evidence = evidence_of(lead, facts)
        shown = memory.first_shown(lead.rule.id, evidence)
        alone = timedelta(hours=deck.cards.limits.critical_alone_hours)
        if memory.answer(lead.rule.id, evidence) is not None or (shown is not None and shown + alone <= facts.as_of):
            return drafts, []
    for draft in others:
        notes.update({a.rule.id: (SUPPRESSED, HELD_BACK) for a in draft.rules})
    titles = [a.rule.title for draft in others for a in draft.spoken] if isinstance(memory, NoMemory) else []
    return drafts[:1], titles


def _within_budget(drafts: list[Draft], facts: Facts, deck: CardDeck, room: int | None, notes: Notes) -> list[Draft]:
    """The drafts that the budget allows, made anew: an order of a card that is gone moves to one that stays."""
    over = over_budget(drafts, room, deck)
    if not over:
        return drafts
    notes.update({a.rule.id: (SUPPRESSED, BUDGET) for draft in over for a in draft.rules})
    gone = {draft.group for draft in over}
    return _drafts([a for draft in drafts if draft.group not in gone for a in draft.rules], facts, deck, notes)


def _unanswered_gaps(evaluation: Evaluation, deck: CardDeck, memory: Memory, context: CardContext) -> tuple[str, ...]:
    """What the gap card names; nothing when it is switched off or was answered for the same gaps (P-04, A-16)."""
    gaps = gaps_of(evaluation) if context.gaps is None else context.gaps
    if not gaps or not context.profile.gap_card:
        return ()
    answer = memory.answer(GAP_RULE, gap_evidence(gaps))
    answered = answer is not None and _is_ahead(gap_snoozed_until(answer, deck), evaluation.facts)
    return () if answered else gaps
