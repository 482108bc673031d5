"""Criteria compiled once for all rules: the same question is asked once per patient, an unread relation is unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from cds_service.rule_engine.criteria import Ask, compile_criterion
from cds_service.rule_engine.criterion import Criterion, names_asked, names_needed, rules_named, without_relations
from cds_service.rule_engine.expression import Expression, read_expression
from cds_service.rule_engine.inquiry import Inquiry
from cds_service.rule_engine.model import Verdict


class Compiler:
    """Compiles criteria. Those of the same wording that depend on nothing else of their rule become one question."""

    def __init__(self, measured_kinds: frozenset[str]) -> None:
        self._measured_kinds = measured_kinds
        self._questions: dict[bytes, Ask] = {}

    def compile(self, criterion: Criterion) -> Ask:
        """The function of a criterion. Raises ValueError unless it asks exactly one thing."""
        if names_needed(criterion):
            return self._unsure_with_its_relations(criterion)
        if names_asked(criterion) or rules_named(criterion):
            return compile_criterion(criterion, self._measured_kinds)
        wording = msgspec.json.encode(msgspec.structs.replace(criterion, says=""))
        if wording not in self._questions:
            self._questions[wording] = _asked_once(compile_criterion(criterion, self._measured_kinds))
        return self._questions[wording]

    def compile_all(self, criteria: Mapping[str, Criterion], known: Iterable[str]) -> dict[str, Ask]:
        """Criteria by name; ``known`` are the names that their ``when`` may use. Raises ValueError with the name."""
        names = frozenset(known)
        compiled = {}
        for name, criterion in criteria.items():
            try:
                compiled[name] = (
                    self.compile(criterion)
                    if criterion.when is None
                    else _joined(read_expression(criterion.when, names))
                )
            except ValueError as error:
                raise ValueError(f"criterion {name!r}: {error}") from error
        return compiled

    def _unsure_with_its_relations(self, criterion: Criterion) -> Ask:
        """Entries that only miss a relation to something that could not be read leave the answer unknown, not false."""
        needed = names_needed(criterion)
        strict = compile_criterion(criterion, self._measured_kinds)
        loose = compile_criterion(without_relations(criterion), self._measured_kinds)

        def ask(inquiry: Inquiry) -> Verdict:
            verdict = strict(inquiry)
            if verdict.value is not False:
                return verdict
            unsure = [answer for name in needed if (answer := inquiry.ask(name)).value is None]
            if not unsure or (criterion.at is None and loose(inquiry).value is False):
                return verdict
            return Verdict(None, missing=tuple(dict.fromkeys(name for answer in unsure for name in answer.missing)))

        return ask


def _joined(expression: Expression) -> Ask:
    return lambda inquiry: expression(inquiry.ask)


def _asked_once(question: Ask) -> Ask:
    def ask(inquiry: Inquiry) -> Verdict:
        answers = inquiry.remembered.answers
        answer = answers.get(question)
        if answer is None:
            answer = answers[question] = question(inquiry)
        return answer

    return ask
