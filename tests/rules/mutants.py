"""Rules changed in one place: a limit moved by one step, a comparison swapped, a silence or an operand dropped."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import partial

import msgspec
from msgspec.structs import replace

from cds_service.rule_engine.criterion import Criterion
from cds_service.rule_engine.expression import names_in
from cds_service.rule_engine.model import Rule

SWAPPED = {
    "above": "at_least",
    "at_least": "above",
    "below": "at_most",
    "at_most": "below",
    "weight_loss_above": "weight_loss_at_least",
    "weight_loss_at_least": "weight_loss_above",
    "activity_minutes_below": "activity_minutes_at_most",
    "activity_minutes_at_most": "activity_minutes_below",
}
FLAGS = (
    "confirmed", "red_flag", "undated_counts", "undated_since_counts", "undated_only", "two_low_weights", "last_before",
    "first_of_run",
)  # fmt: skip
FLIPPED_BOTH_WAYS = {"red_flag": "new_within_days", "undated_counts": "older_than_days"}  # where the other is given
NOT_LIMITS = ("decimals",)


class Mutant(msgspec.Struct, frozen=True):
    """A rule changed in one place. ``criterion``: the name of the changed one; None when it lies elsewhere."""

    rule: Rule
    kind: str
    change: str
    criterion: str | None = None


def mutants_of(rule: Rule) -> Iterator[Mutant]:
    """Every mutant of a rule, in the order of its file."""
    yield from _of_rule(rule)
    for at, fires in enumerate(rule.fires):
        place = f"fires {fires.name}"
        yield from _of_text(rule, f"{place}: when", fires.when, partial(_fires, rule, at, "when"))
        if fires.unless is not None:
            yield Mutant(_idle(_fires(rule, at, "unless", None), fires.unless), "exception", f"{place}: no unless")
            yield from _of_text(rule, f"{place}: unless", fires.unless, partial(_fires, rule, at, "unless"))
        other = "warning" if fires.indicator != "warning" else "info"
        yield Mutant(_fires(rule, at, "indicator", other), "indicator", f"{place}: {fires.indicator} -> {other}")
        if fires.own_trigger is not None:
            turned = not fires.own_trigger
            yield Mutant(_fires(rule, at, "own_trigger", turned), "own trigger", f"{place}: own_trigger -> {turned}")
    for at, silence in enumerate(rule.suppressed):
        place = f"suppressed {silence.reason}"
        rest = (*rule.suppressed[:at], *rule.suppressed[at + 1 :])
        yield Mutant(_idle(replace(rule, suppressed=rest), silence.when), "silence", f"{place}: dropped")
        yield from _of_text(rule, f"{place}: when", silence.when, partial(_silence, rule, at))
    for name, criterion in rule.criteria.items():
        yield from _of_criterion(rule, name, criterion)


def _of_rule(rule: Rule) -> Iterator[Mutant]:
    turned = not rule.own_trigger
    if any(f.own_trigger is None for f in rule.fires):
        yield Mutant(replace(rule, own_trigger=turned), "own trigger", f"own_trigger -> {turned}")
    if rule.youngest is not None:
        for youngest in (rule.youngest - 1, rule.youngest + 1):
            yield Mutant(replace(rule, youngest=youngest), "limit", f"youngest {rule.youngest} -> {youngest}")


def _of_criterion(rule: Rule, name: str, criterion: Criterion) -> Iterator[Mutant]:
    if criterion.when is not None:
        yield from _of_text(rule, f"{name}: when", criterion.when, partial(_joined, rule, name), name)
    yield from _flags(rule, name, criterion)
    for field, other in SWAPPED.items():
        if (value := getattr(criterion, field)) is not None and getattr(criterion, other) is None:
            swapped = _criterion(rule, name, **{field: None, other: value})
            yield Mutant(swapped, "comparison", f"{name}: {field} -> {other}", name)
    for info in msgspec.structs.fields(Criterion):
        value = getattr(criterion, info.name)
        if info.name in NOT_LIMITS or value == info.default:
            continue
        for moved in _moved(value):
            change = f"{name}: {info.name} {_shown(value)} -> {_shown(moved)}"
            yield Mutant(_criterion(rule, name, **{info.name: moved}), "limit", change, name)


def _flags(rule: Rule, name: str, criterion: Criterion) -> Iterator[Mutant]:
    for field in FLAGS:
        value = getattr(criterion, field)
        needs = FLIPPED_BOTH_WAYS.get(field)
        if value or (needs is not None and getattr(criterion, needs) is not None):
            turned = _criterion(rule, name, **{field: not value})
            yield Mutant(turned, "flag", f"{name}: {field} -> {not value}", name)


def _moved(value: object) -> Iterator[object]:
    """A number one step of its own decimals up and down; each number of a table or a list on its own."""
    match value:
        case bool():
            return
        case int() | float():
            step = Decimal(1).scaleb(min(0, _exponent(value)))
            yield from (type(value)(Decimal(str(value)) + sign * step) for sign in (-1, 1))
        case Mapping():
            yield from ({**value, key: moved} for key, one in value.items() for moved in _moved(one))
        case tuple():
            yield from ((*value[:i], moved, *value[i + 1 :]) for i, one in enumerate(value) for moved in _moved(one))


def _exponent(value: float) -> int:
    exponent = Decimal(f"{value:g}").normalize().as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _of_text(
    rule: Rule, place: str, text: str, put: Callable[[str], Rule], criterion: str | None = None
) -> Iterator[Mutant]:
    """The expression without one operand of its ``and`` or ``or``, for each of them."""
    tree = ast.parse(f"({text})", mode="eval").body
    joints = [node for node in ast.walk(tree) if isinstance(node, ast.BoolOp)]
    for joint in joints:
        for operand in (operands := joint.values):
            joint.values = [v for v in operands if v is not operand]
            mutated = put(ast.unparse(tree))
            joint.values = operands
            dropped = ast.unparse(operand)
            yield Mutant(_idle(mutated, dropped), "operand", f"{place} without {dropped!r}", criterion)


def _idle(rule: Rule, dropped: str) -> Rule:
    """The rule with the dropped names as context, so that none of its criteria is without use."""
    return replace(rule, context=(*rule.context, *names_in(dropped)))


def _fires(rule: Rule, at: int, field: str, value: object) -> Rule:
    return replace(rule, fires=(*rule.fires[:at], replace(rule.fires[at], **{field: value}), *rule.fires[at + 1 :]))


def _silence(rule: Rule, at: int, when: str) -> Rule:
    silences = rule.suppressed
    return replace(rule, suppressed=(*silences[:at], replace(silences[at], when=when), *silences[at + 1 :]))


def _joined(rule: Rule, name: str, when: str) -> Rule:
    return _criterion(rule, name, when=when)


def _criterion(rule: Rule, name: str, **fields: object) -> Rule:
    return replace(rule, criteria={**rule.criteria, name: replace(rule.criteria[name], **fields)})
