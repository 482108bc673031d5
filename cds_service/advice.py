"""From an evaluation to an answer: its cards, and what machines, the audit and the log are told of it (P-23, P-33)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from cds_service.cards import evaluation_extension
from cds_service.cards.compose import BUDGET, CardContext, Composed, compose, could_not_be_done
from cds_service.cards.disputed import called_wrong
from cds_service.cards.knowledge import CardDeck
from cds_service.cards.memory import NO_MEMORY, Memory
from cds_service.cds_hooks.response import Card, Response
from cds_service.errors import DataNotAvailable, StoreUnavailable
from cds_service.governance.silent_mode import SILENT, Heard
from cds_service.record import SourceName, SourceState
from cds_service.rule_engine.model import Evaluation, Status

REQUIRED: tuple[SourceName, ...] = ("patient", "conditions")
NOT_HAD = (SourceState.FAILED, SourceState.NOT_OFFERED)
NOT_DONE = "The muscle-atrophy check could not be done: the patient or the conditions could not be read."


class Advice(Heard, frozen=True):
    """What the rules say about one record, and the cards made of it. ``off`` rules were not asked, with the reason."""

    off: Mapping[str, str] = {}

    @property
    def withheld(self) -> dict[str, str]:
        """Rules that were off, silent or over budget, by id with the reason (B-52)."""
        notes = self.composed.notes.items()
        return {**self.off, **{rule: reason for rule, (_, reason) in notes if reason in (SILENT, BUDGET)}}

    def audited(self, fingerprint: Callable[..., str], room: int | None) -> dict[str, Any]:
        """What the audit keeps: which rules fired, which cards were shown, and of their words only a fingerprint.

        The same data, rules and moment, with the same rules withheld and the same ``room`` in the budgets, give the
        same words, and so the same fingerprint (P-33).
        """
        assessments = self.evaluation.assessments
        unseen = [{"indicator": card.indicator, "words": words_of(card, fingerprint)} for card in self.unseen]
        return {
            "asOf": self.evaluation.facts.as_of.isoformat(),
            "fired": [a.rule.id for a in assessments if a.status is Status.FIRED],
            "unknown": [a.rule.id for a in assessments if a.status is Status.UNKNOWN],
            "calledWrong": called_wrong(self.evaluation.facts.record),
            "cards": [{"uuid": card.uuid, "words": words_of(card, fingerprint)} for card in self.composed.cards],
            **({"withheld": self.withheld} if self.withheld else {}),
            **({"silent": sorted(self.left_out)} if self.left_out else {}),
            **({"unseen": unseen} if unseen else {}),
            **({"room": room} if room is not None else {}),
        }

    def response(self, pack_hash: str, *, with_extension: bool = True) -> Response:
        """The CDS Hooks answer: cards, and every rule's answer for machines (P-23).

        A client that does not want the latter gets it all the same when there is no card, or when a rule was withheld:
        nothing is hidden without a word (B-52).
        """
        if not with_extension and self.composed.cards and not self.withheld:
            return Response(cards=self.composed.cards)
        every = evaluation_extension.evaluation_extension(self.evaluation, pack_hash, self.composed.notes)
        return Response(cards=self.composed.cards, extension={evaluation_extension.NAME: every})

    def countable(self) -> dict[str, object]:
        """What a log line may say of it: rule ids and counts, never patient data (T10)."""
        assessments = self.evaluation.assessments
        return {
            "fired": [a.rule.id for a in assessments if a.status is Status.FIRED],
            "unknown": [a.rule.id for a in assessments if a.status is Status.UNKNOWN],
            "cards": len(self.composed.cards),
            "tier": self.evaluation.tier,
            "called_wrong": called_wrong(self.evaluation.facts.record),
            "set_aside": sum(len(s.set_aside) for s in self.evaluation.facts.record.sources.values()),
            **({"withheld": self.withheld} if self.withheld else {}),
            **({"unseen": len(self.unseen)} if self.unseen else {}),
        }


def words_of(card: Card, fingerprint: Callable[..., str]) -> str:
    """A fingerprint of what a reader of a card sees."""
    return fingerprint(card.indicator, card.summary, card.detail or "")


def advised(evaluation: Evaluation, deck: CardDeck, memory: Memory, context: CardContext) -> Advice:
    """An evaluation with its cards. A store in trouble costs the snooze, never the card."""
    try:
        return Advice(evaluation, compose(evaluation, deck, memory, context))
    except StoreUnavailable:
        return Advice(evaluation, compose(evaluation, deck, NO_MEMORY, context))


def refuse_without_required(advice: Advice, deck: CardDeck, context: CardContext, why_not: str) -> Advice:
    """The advice, unless the Patient or the Conditions could not be had.

    Then 412 (C32) that says ``why_not``; for a client that shows errors to nobody one info card; and a critical finding
    in what was read outweighs both (P-05).
    """
    record = advice.evaluation.facts.record
    missing = tuple(name for name in REQUIRED if record.state(name) in NOT_HAD)
    if not missing or any(a.indicator == "critical" for a in advice.evaluation.fired):
        return advice
    if not context.profile.errors_as_card:
        raise DataNotAvailable(why_not)
    card = could_not_be_done(deck, msgspec.structs.replace(context, gaps=missing))
    return msgspec.structs.replace(advice, composed=Composed((card,), (), advice.composed.notes))
