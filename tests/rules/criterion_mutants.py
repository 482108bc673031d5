"""A criterion changed in one place, be it of a rule or of ``gates.toml``: a limit, a comparison, a flag, an operand."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from cds_service.rule_engine.criterion import Criterion

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
_Change = tuple[str, str, dict[str, object]]  # the kind, the change in words, the changed fields


class Mutant(msgspec.Struct, frozen=True):
    """Something of ``rules/`` changed in one place: what kind of change it is, and the change in words."""

    kind: str
    change: str


class CriterionMutant(Mutant, frozen=True):
    """A criterion changed in one place. ``dropped``: the operand that its ``when`` no longer has."""

    name: str
    criterion: Criterion
    dropped: str | None = None


def mutants_of_criterion(name: str, criterion: Criterion) -> Iterator[CriterionMutant]:
    """Every mutant of one criterion."""
    for left, dropped in without_an_operand(criterion.when) if criterion.when else ():
        change = f"{name}: when without {dropped!r}"
        yield CriterionMutant("operand", change, name, replace(criterion, when=left), dropped)
    for kind, change, fields in (*_flags(criterion), *_comparisons(criterion), *_limits(criterion)):
        yield CriterionMutant(kind, f"{name}: {change}", name, replace(criterion, **fields))


def _flags(criterion: Criterion) -> Iterator[_Change]:
    for field in FLAGS:
        value = getattr(criterion, field)
        needs = FLIPPED_BOTH_WAYS.get(field)
        if value or (needs is not None and getattr(criterion, needs) is not None):
            yield "flag", f"{field} -> {not value}", {field: not value}


def _comparisons(criterion: Criterion) -> Iterator[_Change]:
    for field, other in SWAPPED.items():
        if (value := getattr(criterion, field)) is not None and getattr(criterion, other) is None:
            yield "comparison", f"{field} -> {other}", {field: None, other: value}


def _limits(criterion: Criterion) -> Iterator[_Change]:
    for info in msgspec.structs.fields(Criterion):
        value = getattr(criterion, info.name)
        if info.name in NOT_LIMITS or value == info.default:
            continue
        for moved in _moved(value):
            yield "limit", f"{info.name} {_shown(value)} -> {_shown(moved)}", {info.name: moved}


def without_an_operand(text: str) -> Iterator[tuple[str, str]]:
    """The expression without one operand of its ``and`` or ``or``, and that operand, for each of them."""
    tree = ast.parse(f"({text})", mode="eval").body
    joints = [node for node in ast.walk(tree) if isinstance(node, ast.BoolOp)]
    for joint in joints:
        for operand in (operands := joint.values):
            joint.values = [v for v in operands if v is not operand]
            left = ast.unparse(tree)
            joint.values = operands
            yield left, ast.unparse(operand)


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
