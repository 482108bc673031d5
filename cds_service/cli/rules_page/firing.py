"""When a rule fires, in which tier its card stands, when it is silent, and how it stands to other rules."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cds_service.cli.rules_page.words import Pack
from cds_service.rule_engine import plain_words
from cds_service.rule_engine.model import INDICATOR_RANK, Fires, Rule, Suppression
from cds_service.rule_engine.plain_words import in_words


def when_it_fires(rule: Rule, pack: Pack) -> Iterator[str]:
    """Each way to fire with its card, the tier that a card needs, and what silences the rule."""
    yield "**It fires** (the first line that holds)\n" if len(rule.fires) > 1 else "**It fires**\n"
    for fires in rule.fires:
        yield f"- *{fires.indicator}* ({fires.name}): {plain_words.when_it_fires(fires)}."
        yield f'  Card: "{_summary(fires, rule, pack)}"'
    yield "\n**Tier**\n"
    yield from (f"- {line}" for line in _tier(rule, pack))
    yield "\n**It stays silent although it would fire**\n"
    for suppression in rule.suppressed:
        yield f"- {suppression.reason}: {in_words(suppression.when)}.{_findings_then(rule, suppression, pack)}"
    if not rule.suppressed:
        yield "- For no reason of its own; see the gates."


def _summary(fires: Fires, rule: Rule, pack: Pack) -> str:
    """The summary with dots where a card has the patient's own numbers."""
    dose = re.sub(r"\{[^}]*\}", "...", pack.knowledge.rules.tiers.steroid_dose)
    return (fires.summary or rule.summary).format(steroid_dose=dose)


def _tier(rule: Rule, pack: Pack) -> Iterator[str]:
    if rule.own_trigger:
        yield "It has its own trigger: the tier neither hides its card nor lowers it."
    else:
        yield f"The tier decides: {'; '.join(_by_tier(rule, pack))}."
    own = [fires.name for fires in rule.fires if fires.own_trigger is True and not rule.own_trigger]
    bound = [fires.name for fires in rule.fires if fires.own_trigger is False and rule.own_trigger]
    if own:
        yield f"Own trigger, whatever the tier: {', '.join(own)}."
    if bound:
        yield f"Only by the tier: {', '.join(bound)}."
    if rule.pattern_tier:
        yield "As a warning its pattern alone makes tier 3."


def _by_tier(rule: Rule, pack: Pack) -> Iterator[str]:
    """What the card can be at most in each tier; tiers in which it is the same together."""
    tiers = pack.knowledge.rules.tiers
    highest = max((fires.indicator for fires in rule.fires), key=INDICATOR_RANK.__getitem__)
    in_tier: dict[str, list[str]] = {}
    for tier in tiers.reached_when:
        cap = tiers.caps.get(tier)
        card = "no card" if cap is None else f"at most {min(cap, highest, key=INDICATOR_RANK.__getitem__)}"
        in_tier.setdefault(card, []).append(tier)
    for card, names in in_tier.items():
        yield f"in tier {' or '.join(names)} {card}"


def _findings_then(rule: Rule, suppression: Suppression, pack: Pack) -> str:
    """Whether other rules may still take the findings of a silent rule (B-28, B-63)."""
    others = pack.numbers(_would_take(rule, pack))
    if not others:
        return ""
    if suppression.silences:
        return f" By {others} the findings on which the line that held rests are then left alone too (B-28)."
    return f" {others} may still take these findings."


def _would_take(rule: Rule, pack: Pack) -> set[str]:
    asks = ((other, c) for other in pack.rules for c in other.criteria.values())
    return {other.id for other, c in asks if rule.id in (*c.not_taken_by, *c.not_silenced_by)}


def beside_other_rules(rule: Rule, pack: Pack) -> Iterator[str]:
    """Which rule's card carries this one's, what its own card carries, and what leads (A-25, B-29, B-45)."""
    lines = [*_carried(rule, pack), *_carries(rule, pack)]
    lines += [f"Leads its card among equals when it fires as {f.name}." for f in rule.fires if f.leads]
    if lines:
        yield "\n**Beside other rules**\n"
        yield from (f"- {line}" for line in lines)


def _carried(rule: Rule, pack: Pack) -> Iterator[str]:
    ways = ", ".join(fires.name for fires in rule.fires if fires.carried)
    if ways:
        carriers = [pack.numbers([other]) for other in rule.carried_by]
        yield (
            f"As {ways} it stands on the card of the first of these that fires: {', '.join(carriers)}. That card then"
            " offers its first-line orders too and has its id in the extension, but not its words (A-25, B-29). An"
            " answer to that card answers for this rule too, for this rule's own days. Where these days end before that"
            " card's, and on new evidence of its own, it has a card of its own."
        )
        if alone := ", ".join(fires.name for fires in rule.fires if not fires.carried):
            yield f"As {alone} it always has a card of its own."


def _carries(rule: Rule, pack: Pack) -> Iterator[str]:
    for other in pack.rules:
        if rule.id in other.carried_by:
            ways = ", ".join(fires.name for fires in other.fires if fires.carried)
            yield f"Its card carries {other.number} ({ways}): first-line orders without words (A-25, B-29)."
