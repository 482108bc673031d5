"""What would change a rule's answer: each criterion supposed otherwise, with what rests on the same facts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from cds_service.rule_engine.criterion import Criterion
from cds_service.rule_engine.evaluate import first_branch
from cds_service.rule_engine.expression import Expression, names_in, read_expression
from cds_service.rule_engine.model import Status, Verdict
from cds_service.rule_engine.plain_words import HOSPICE, HOSPICE_CRITERION, deciding_expressions
from cds_service.rule_engine.rulebook import CompiledRule

ValueOf = Callable[[str], bool | None]
FactsOf = Callable[[str], Iterable[str]]


class Outcome(msgspec.Struct, frozen=True):
    """A rule's answer. ``reason``: the name of the way it fires, or why it is silent; empty when it does neither."""

    status: Status
    reason: str = ""


class Supposition(msgspec.Struct, frozen=True):
    """A criterion whose verdict were another one, and what the rule would then answer."""

    criterion: str
    instead: bool
    outcome: Outcome


class Supposing:
    """One rule, answered from verdicts alone: age, tier and the other rules stay as they are.

    ``value_of`` gives the verdict of each criterion that is not made of others; one that compares with another (same
    limb, since its onset) is supposed by itself. ``facts_of`` gives what tells the facts of a criterion apart: without
    them nothing else that rests on no others can hold.
    """

    def __init__(
        self,
        compiled: CompiledRule,
        criteria: Mapping[str, Criterion],
        value_of: ValueOf,
        facts_of: FactsOf = lambda _: (),
    ) -> None:
        self._compiled = compiled
        self._criteria = criteria
        self._value_of = value_of
        self._facts_of = facts_of

    def outcome(self) -> Outcome:
        """What the rule answers to the verdicts as they are."""
        return self._outcome({})

    def changes(self) -> tuple[Supposition, ...]:
        """Every single change that would turn the answer, among the criteria that the rule's expressions name."""
        return tuple(self._changes(self.outcome()))

    def result(self, expression: str) -> bool | None:
        """The verdict of an expression over the criteria."""
        return _read(expression, frozenset(self._criteria))(self._asking({})).value

    def _changes(self, now: Outcome) -> Iterator[Supposition]:
        asked = dict.fromkeys(name for text in deciding_expressions(self._compiled.rule) for name in names_in(text))
        for name in asked:
            value = self._asking({})(name).value
            for instead in (True, False):
                if value is instead:
                    continue
                then = self._outcome({**({} if instead else self._fallen_with(name)), name: instead})
                if then != now:
                    yield Supposition(name, instead, then)

    def _fallen_with(self, name: str) -> dict[str, bool]:
        """The criteria that rest on no other facts than this one does, as not found."""
        gone = frozenset(self._facts_of(name))
        return {
            other: False
            for other in (self._criteria if gone else ())
            if (facts := frozenset(self._facts_of(other))) and facts <= gone
        }

    def _outcome(self, supposed: Mapping[str, bool]) -> Outcome:
        ask, rule = self._asking(supposed), self._compiled.rule
        branch, _, missing = first_branch(self._compiled, ask)
        if branch is None:
            return Outcome(Status.UNKNOWN if missing else Status.NOT_MET)
        if not rule.passes_hospice and ask(HOSPICE_CRITERION).value:
            return Outcome(Status.SUPPRESSED, HOSPICE)
        for suppression, when in self._compiled.suppressed:
            if when(ask).value:
                return Outcome(Status.SUPPRESSED, suppression.reason)
        return Outcome(Status.FIRED, branch.written.name)

    def _asking(self, supposed: Mapping[str, bool]) -> Callable[[str], Verdict]:
        def ask(name: str) -> Verdict:
            joined = self._criteria[name].when
            if joined is not None and name not in supposed:
                return _read(joined, frozenset(self._criteria))(ask)
            value = supposed[name] if name in supposed else self._value_of(name)
            return Verdict(value, missing=(name,) if value is None else ())

        return ask


@functools.lru_cache(maxsize=4096)
def _read(expression: str, known: frozenset[str]) -> Expression:
    return read_expression(expression, known)
