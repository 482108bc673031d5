"""Rules changed in one place: a limit moved by one step, a comparison swapped, a silence or an operand dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from msgspec.structs import replace

from cds_service.rule_engine.expression import names_in
from cds_service.rule_engine.model import Rule
from tests.rules.criterion_mutants import Mutant, mutants_of_criterion, without_an_operand


class RuleMutant(Mutant, frozen=True):
    """A rule changed in one place. ``criterion``: the name of the changed one; None when it lies elsewhere."""

    rule: Rule
    criterion: str | None = None


def mutants_of(rule: Rule) -> Iterator[RuleMutant]:
    """Every mutant of a rule, in the order of its file."""
    yield from _of_rule(rule)
    for at, fires in enumerate(rule.fires):
        place = f"fires {fires.name}"
        yield from _of_text(f"{place}: when", fires.when, partial(_fires, rule, at, "when"))
        if fires.unless is not None:
            never = _idle(_fires(rule, at, "unless", None), fires.unless)
            yield RuleMutant("exception", f"{place}: no unless", never)
            yield from _of_text(f"{place}: unless", fires.unless, partial(_fires, rule, at, "unless"))
        other = "warning" if fires.indicator != "warning" else "info"
        change = f"{place}: {fires.indicator} -> {other}"
        yield RuleMutant("indicator", change, _fires(rule, at, "indicator", other))
        if fires.own_trigger is not None:
            turned = not fires.own_trigger
            change = f"{place}: own_trigger -> {turned}"
            yield RuleMutant("own trigger", change, _fires(rule, at, "own_trigger", turned))
    for at, silence in enumerate(rule.suppressed):
        place = f"suppressed {silence.reason}"
        rest = (*rule.suppressed[:at], *rule.suppressed[at + 1 :])
        yield RuleMutant("silence", f"{place}: dropped", _idle(replace(rule, suppressed=rest), silence.when))
        yield from _of_text(f"{place}: when", silence.when, partial(_silence, rule, at))
    for name, criterion in rule.criteria.items():
        for mutant in mutants_of_criterion(name, criterion):
            changed = replace(rule, criteria={**rule.criteria, name: mutant.criterion})
            yield RuleMutant(mutant.kind, mutant.change, _idle(changed, mutant.dropped), name)


def _of_rule(rule: Rule) -> Iterator[RuleMutant]:
    turned = not rule.own_trigger
    if any(f.own_trigger is None for f in rule.fires):
        yield RuleMutant("own trigger", f"own_trigger -> {turned}", replace(rule, own_trigger=turned))
    if rule.youngest is not None:
        for youngest in (rule.youngest - 1, rule.youngest + 1):
            yield RuleMutant("limit", f"youngest {rule.youngest} -> {youngest}", replace(rule, youngest=youngest))


def _of_text(place: str, text: str, put: Callable[[str], Rule]) -> Iterator[RuleMutant]:
    for left, dropped in without_an_operand(text):
        yield RuleMutant("operand", f"{place} without {dropped!r}", _idle(put(left), dropped))


def _idle(rule: Rule, dropped: str | None) -> Rule:
    """The rule with the dropped names as context, so that none of its criteria is without use."""
    return rule if dropped is None else replace(rule, context=(*rule.context, *names_in(dropped)))


def _fires(rule: Rule, at: int, field: str, value: object) -> Rule:
    return replace(rule, fires=(*rule.fires[:at], replace(rule.fires[at], **{field: value}), *rule.fires[at + 1 :]))


def _silence(rule: Rule, at: int, when: str) -> Rule:
    silences = rule.suppressed
    return replace(rule, suppressed=(*silences[:at], replace(silences[at], when=when), *silences[at + 1 :]))
