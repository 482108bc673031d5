"""A memory that a test fills by hand."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from cds_service.cards.memory import GAP_RULE, evidence_of, gap_evidence
from cds_service.rule_engine.model import Assessment, Evaluation


class GivenAnswer(NamedTuple):
    outcome: str
    at: datetime
    reason_code: str | None
    indicator: str = "info"


class Showing(NamedTuple):
    at: datetime
    indicator: str


class FakeMemory:
    """Remembers what it was told, for one patient and client."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], GivenAnswer] = {}
        self._shown: dict[tuple[str, str], Showing] = {}

    def answer(self, rule_id: str, evidence: str) -> GivenAnswer | None:
        return self._answers.get((rule_id, evidence))

    def first_shown(self, rule_id: str, evidence: str) -> datetime | None:
        shown = self._shown.get((rule_id, evidence))
        return shown and shown.at

    def last_shown(self, rule_id: str, evidence: str) -> Showing | None:
        return self._shown.get((rule_id, evidence))

    def disputed(self, reasons: object) -> None:
        return None

    def show(self, evaluation: Evaluation, rule_id: str, *, at: datetime) -> None:
        assessment = _assessment(evaluation, rule_id)
        key = (rule_id, evidence_of(assessment, evaluation.facts))
        self._shown[key] = Showing(at, assessment.indicator or "info")

    def answered(
        self,
        evaluation: Evaluation,
        rule_id: str,
        *,
        reason: str | None,
        at: datetime,
        outcome: str = "overridden",
    ) -> None:
        assessment = _assessment(evaluation, rule_id)
        key = (rule_id, evidence_of(assessment, evaluation.facts))
        self._answers[key] = GivenAnswer(outcome, at, reason, assessment.indicator or "info")

    def answered_gap(self, *gaps: str, reason: str | None, at: datetime) -> None:
        self._answers[GAP_RULE, gap_evidence(gaps)] = GivenAnswer("overridden", at, reason)


def _assessment(evaluation: Evaluation, rule_id: str) -> Assessment:
    return next(a for a in evaluation.assessments if a.rule.id == rule_id)
