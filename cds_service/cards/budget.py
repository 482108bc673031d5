"""Which cards an alert budget takes away; never one with an emergency on it (B-25)."""

from __future__ import annotations

from collections.abc import Sequence

from cds_service.cards.detail import Draft
from cds_service.cards.knowledge import CardDeck
from cds_service.rule_engine.model import INDICATOR_RANK, Assessment


def counts_in_budget(draft: Draft) -> bool:
    """R01-R05 and critical cards are outside every budget: not counted, never hidden."""
    return not any(map(_is_urgent, draft.rules))


def _is_urgent(assessment: Assessment) -> bool:
    """Also what fired as critical and is a warning only because somebody assessed it today."""
    fired_as = (f.indicator for f in assessment.rule.fires if f.name == assessment.branch)
    return assessment.rule.group == "emergency" or "critical" in (assessment.indicator, *fired_as)


def over_budget(drafts: Sequence[Draft], room: int | None, deck: CardDeck) -> tuple[Draft, ...]:
    """The drafts beyond ``room``; kept are those of the highest indicator, then in the order of ``[leads]``."""
    if room is None:
        return ()
    groups = list(deck.cards.leads)
    counted = [draft for draft in drafts if counts_in_budget(draft)]
    counted.sort(key=lambda d: (-INDICATOR_RANK[d.indicator], groups.index(d.group)))
    return tuple(counted[room:])
