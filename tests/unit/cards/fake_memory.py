"""A memory that a test fills by hand."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from cds_service.cards.memory import GAP_RULE, evidence_of, gap_evidence
from cds_service.rule_engine.model import Evaluation


class GivenAnswer(NamedTuple):
    outcome: str
    at: datetime
    reason_code: str | None


class FakeMemory:
    """Remembers what it was told, for one patient and client."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], GivenAnswer] = {}
        self._shown: dict[tuple[str, str], datetime] = {}

    def answer(self, rule_id: str, evidence: str) -> GivenAnswer | None:
        return self._answers.get((rule_id, evidence))

    def first_shown(self, rule_id: str, evidence: str) -> datetime | None:
        return self._shown.get((rule_id, evidence))

    def show(self, evaluation: Evaluation, rule_id: str, *, at: datetime) -> None:
        self._shown[rule_id, _evidence(evaluation, rule_id)] = at

    def answered(
        self,
        evaluation: Evaluation,
        rule_id: str,
        *,
        reason: str | None,
        at: datetime,
        outcome: str = "overridden",
    ) -> None:
        self._answers[rule_id, _evidence(evaluation, rule_id)] = GivenAnswer(outcome, at, reason)

    def answered_gap(self, *gaps: str, reason: str | None, at: datetime) -> None:
        self._answers[GAP_RULE, gap_evidence(gaps)] = GivenAnswer("overridden", at, reason)


def _evidence(evaluation: Evaluation, rule_id: str) -> str:
    assessment = next(a for a in evaluation.assessments if a.rule.id == rule_id)
    return evidence_of(assessment, evaluation.facts)
