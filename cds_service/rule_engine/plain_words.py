"""A rule in plain words: the same on the page of the rules and where a card is explained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from cds_service.rule_engine.criterion import Criterion
from cds_service.rule_engine.expression import names_in
from cds_service.rule_engine.model import Fires, Rule

HOSPICE = "hospice-care"
HOSPICE_CRITERION = "hospice_care"


def name_in_words(name: str) -> str:
    """The name of a criterion as words."""
    return name.replace("_", " ")


def in_words(expression: str) -> str:
    """An expression over names of criteria as words."""
    return " ".join(name_in_words(part) for part in expression.split())


def when_it_fires(fires: Fires) -> str:
    """One way to fire: ``exposure and weakness, unless known cause``."""
    return in_words(fires.when) + (f", unless {in_words(fires.unless)}" if fires.unless else "")


class Silence(NamedTuple):
    """A reason to stay silent, the expression that it is, and the same in words, without its full stop."""

    reason: str
    expression: str
    words: str


def reasons_for_silence(rule: Rule) -> Iterator[Silence]:
    """What keeps a rule silent although it would fire."""
    for suppression in rule.suppressed:
        yield Silence(suppression.reason, suppression.when, in_words(suppression.when))
    if not rule.passes_hospice:
        yield Silence(HOSPICE, HOSPICE_CRITERION, in_words(HOSPICE_CRITERION))


def deciding_expressions(rule: Rule) -> Iterator[str]:
    """What decides whether the rule fires or stays silent, in the order of its file."""
    for fires in rule.fires:
        yield fires.when
        if fires.unless:
            yield fires.unless
    yield from (silence.expression for silence in reasons_for_silence(rule))


def deciding_criteria(rule: Rule, criteria: Mapping[str, Criterion]) -> tuple[str, ...]:
    """The criteria behind the rule's answer and behind what its card adds, each after the one that is made of it.

    ``criteria`` are the rule's and the shared ones.
    """
    found: dict[str, None] = {}
    waiting = [*_names(deciding_expressions(rule)), *rule.context, *rule.looked_for][::-1]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = None
            criterion = criteria[name]
            parts = names_in(criterion.when) if criterion.when else criterion.points
            waiting += reversed(parts)
    return tuple(found)


def _names(expressions: Iterable[str]) -> Iterator[str]:
    for expression in expressions:
        yield from names_in(expression)
