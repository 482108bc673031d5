"""Boolean expressions over criterion names: read once, answered in three values (true, false, unknown)."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from cds_service.rule_engine.model import Verdict

Ask = Callable[[str], Verdict]
Expression = Callable[[Ask], Verdict]
Part = str | Expression  # a name alone, or more

TRUE = Verdict(True)
FALSE = Verdict(False)


def read_expression(text: str, known: Iterable[str]) -> Expression:
    """Turn ``a and (b or not c)`` into a function. Raises ValueError for any other form or an unknown name."""
    try:
        tree = ast.parse(f"({text})", mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"cannot read the expression {text!r}: use names, and, or, not and brackets") from error
    compiled = _compile(tree, frozenset(known))
    return compiled if callable(compiled) else _asking(compiled)


def names_in(text: str) -> tuple[str, ...]:
    """The criterion names that an expression uses, in the order of its text."""
    found = [node for node in ast.walk(ast.parse(f"({text})", mode="eval")) if isinstance(node, ast.Name)]
    return tuple(dict.fromkeys(node.id for node in sorted(found, key=lambda node: (node.lineno, node.col_offset))))


def _compile(node: ast.expr, known: frozenset[str]) -> Part:
    match node:
        case ast.Name(id=name) if name in known:
            return name
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


def _asking(name: str) -> Expression:
    return lambda ask: ask(name)


def _answer(part: Part, ask: Ask) -> Verdict:
    return ask(part) if isinstance(part, str) else part(ask)


def _all_of(parts: tuple[Part, ...]) -> Expression:
    def answer(ask: Ask) -> Verdict:
        verdicts, unknown = [], False
        for part in parts:
            verdict = ask(part) if isinstance(part, str) else part(ask)
            if verdict.value is False:
                return FALSE
            unknown = unknown or verdict.value is None
            verdicts.append(verdict)
        return Verdict(None, missing=_missing(verdicts)) if unknown else joined(verdicts)

    return answer


def _any_of(parts: tuple[Part, ...]) -> Expression:
    def answer(ask: Ask) -> Verdict:
        held, unknown = [], []
        for part in parts:
            verdict = ask(part) if isinstance(part, str) else part(ask)
            if verdict.value:
                held.append(verdict)
            elif verdict.value is None:
                unknown.append(verdict)
        if held:
            return joined(held)
        return Verdict(None, missing=_missing(unknown)) if unknown else FALSE

    return answer


def _not(part: Part) -> Expression:
    def answer(ask: Ask) -> Verdict:
        verdict = _answer(part, ask)
        if verdict.value is None:
            return Verdict(None, missing=verdict.missing)
        return FALSE if verdict.value else TRUE

    return answer


def joined(verdicts: list[Verdict]) -> Verdict:
    """True, with the facts and entries of all of them, each once."""
    if len(verdicts) == 1:
        return verdicts[0]
    facts = tuple(dict.fromkeys(fact for v in verdicts for fact in v.facts))
    entries = tuple({id(entry): entry for v in verdicts for entry in v.entries}.values())
    return Verdict(True, facts, entries)


def _missing(verdicts: list[Verdict]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for v in verdicts for name in v.missing))
