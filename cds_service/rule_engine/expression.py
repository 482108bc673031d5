"""Boolean expressions over criterion names: read once, answered in three values (true, false, unknown)."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from cds_service.rule_engine.model import Verdict

Ask = Callable[[str], Verdict]
Expression = Callable[[Ask], Verdict]

TRUE = Verdict(True)
FALSE = Verdict(False)


def read_expression(text: str, known: Iterable[str]) -> Expression:
    """Turn ``a and (b or not c)`` into a function. Raises ValueError for any other form or an unknown name."""
    try:
        tree = ast.parse(f"({text})", mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"cannot read the expression {text!r}: use names, and, or, not and brackets") from error
    return _compile(tree, frozenset(known))


def names_in(text: str) -> tuple[str, ...]:
    """The criterion names that an expression uses, in the order of its text."""
    found = [node for node in ast.walk(ast.parse(f"({text})", mode="eval")) if isinstance(node, ast.Name)]
    return tuple(dict.fromkeys(node.id for node in sorted(found, key=lambda node: (node.lineno, node.col_offset))))


def _compile(node: ast.expr, known: frozenset[str]) -> Expression:
    match node:
        case ast.Name(id=name) if name in known:
            return lambda ask: ask(name)
        case ast.Name(id=name):
            raise ValueError(f"no criterion is called {name!r}")
        case ast.BoolOp(op=ast.And(), values=values):
            return _all_of(tuple(_compile(v, known) for v in values))
        case ast.BoolOp(op=ast.Or(), values=values):
            return _any_of(tuple(_compile(v, known) for v in values))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _not(_compile(operand, known))
        case _:
            raise ValueError("an expression holds only names, and, or, not and brackets")


def _all_of(parts: tuple[Expression, ...]) -> Expression:
    def answer(ask: Ask) -> Verdict:
        verdicts = []
        for part in parts:
            verdict = part(ask)
            if verdict.value is False:
                return FALSE
            verdicts.append(verdict)
        if any(v.value is None for v in verdicts):
            return Verdict(None, missing=_missing(verdicts))
        return _joined(verdicts)

    return answer


def _any_of(parts: tuple[Expression, ...]) -> Expression:
    def answer(ask: Ask) -> Verdict:
        verdicts = [part(ask) for part in parts]
        held = [v for v in verdicts if v.value]
        if held:
            return _joined(held)
        if any(v.value is None for v in verdicts):
            return Verdict(None, missing=_missing(verdicts))
        return FALSE

    return answer


def _not(part: Expression) -> Expression:
    def answer(ask: Ask) -> Verdict:
        verdict = part(ask)
        if verdict.value is None:
            return Verdict(None, missing=verdict.missing)
        return FALSE if verdict.value else TRUE

    return answer


def _joined(verdicts: list[Verdict]) -> Verdict:
    if len(verdicts) == 1:
        return verdicts[0]
    facts = tuple(dict.fromkeys(fact for v in verdicts for fact in v.facts))
    entries = tuple({id(entry): entry for v in verdicts for entry in v.entries}.values())
    return Verdict(True, facts, entries)


def _missing(verdicts: list[Verdict]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for v in verdicts for name in v.missing))
