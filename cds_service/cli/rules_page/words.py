"""Expressions and criteria of a rule in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from cds_service.cards.knowledge import CardDeck
from cds_service.rule_engine.criterion import Criterion, names_asked
from cds_service.rule_engine.expression import names_in
from cds_service.rule_engine.loader import Knowledge
from cds_service.rule_engine.meanings import details, numbers, titles
from cds_service.rule_engine.model import Rule
from cds_service.rule_engine.plain_words import in_words


class Pack(NamedTuple):
    """All of ``rules/`` that the page is made of."""

    knowledge: Knowledge
    deck: CardDeck

    @property
    def rules(self) -> tuple[Rule, ...]:
        """In the order of their numbers."""
        return tuple(compiled.rule for compiled in self.knowledge.rules.by_number)

    def numbers(self, ids: Iterable[str]) -> str:
        """The numbers of some rules, in a list."""
        return numbers(ids, self.knowledge)

    def titles(self, sets: Iterable[str]) -> str:
        """What some value sets are called, in a list."""
        return titles(sets, self.knowledge)

    def criteria(self, rule: Rule) -> Mapping[str, Criterion]:
        """Those that the rule may ask by name, the shared ones too."""
        return {**self.knowledge.gate_criteria, **rule.criteria}


def expressions_of(rule: Rule) -> list[str]:
    """Every expression of a rule, in the order in which a card comes about."""
    texts = [text for fires in rule.fires for text in (fires.when, fires.unless)]
    texts += [suppression.when for suppression in rule.suppressed]
    texts += [text for offer in rule.offers for text in (offer.when, offer.preselect_when, offer.seen_since)]
    texts += [advice.when for advice in rule.advice]
    return [text for text in texts if text is not None] + [*rule.looked_for, *rule.context]


def asked_by(rule: Rule, criteria: Mapping[str, Criterion]) -> list[str]:
    """The criteria that a rule reaches: its own all the way down, of the shared ones those that it names itself."""
    found: dict[str, None] = {}
    waiting = [name for text in expressions_of(rule) for name in names_in(text)]
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = None
            waiting += _below(criteria[name]) if name in rule.criteria else []
    return list(found)


def _below(criterion: Criterion) -> tuple[str, ...]:
    return (*(names_in(criterion.when) if criterion.when else ()), *names_asked(criterion))


def meanings(names: Iterable[str], criteria: Mapping[str, Criterion], pack: Pack) -> Iterator[str]:
    """A line for each criterion: what it asks, of what it is joined, and what narrows it."""
    for name in names:
        criterion = criteria[name]
        more = "; ".join(details(criterion, criteria, pack.knowledge))
        yield f"- *{in_words(name)}*: {criterion.says}{f' ({more})' if more else ''}."
