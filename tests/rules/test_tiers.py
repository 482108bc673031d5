"""The tier of whole worked patients: which level-2 findings count as unexplained (section 6, B-07, B-67)."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from cds_service.case_resources import PATIENT_ID, case_resources
from cds_service.cases import Case, CaseCondition
from cds_service.fhir.reader import payloads_from_resources, read_record
from cds_service.rule_engine.evaluate import evaluate
from cds_service.rule_engine.facts import gather_facts
from cds_service.rule_engine.loader import load_knowledge
from cds_service.rule_engine.model import Evaluation
from tests.rules.tables import RULES

AS_OF = datetime(2026, 11, 2, 12, tzinfo=UTC)
KNOWLEDGE = load_knowledge(RULES, AS_OF.date())
WASTING = CaseCondition(code="M62.50", name="Muscle wasting and atrophy, not elsewhere classified", onset="T-200d")


def evaluation_of(*conditions: CaseCondition) -> Evaluation:
    case = Case(id="tier", title="", conditions=conditions, expect={})
    resources = [msgspec.json.encode(r) for r in case_resources(case, KNOWLEDGE.tables, AS_OF)]
    record = read_record(payloads_from_resources(resources), PATIENT_ID, vocabulary=KNOWLEDGE.vocabulary, as_of=AS_OF)
    return evaluate(KNOWLEDGE.rules, gather_facts(record, KNOWLEDGE, AS_OF))


def test_wasting_without_a_cause_is_tier_3() -> None:
    assert evaluation_of(WASTING).tier == "3"
    assert "no recorded cause" in evaluation_of(WASTING).tier_sentence


@pytest.mark.parametrize(
    ("code", "onset"),
    [
        ("G71.01", "T-900d"),  # neuromuscular disease: for every rule
        ("G35", "T-900d"),  # these for R06 and R08 only
        ("I69.351", "T-700d"),
        ("G20", "T-900d"),
        ("B91", "T-9000d"),  # R24 fires
    ],
)
def test_b67_wasting_with_a_recorded_cause_counts_like_weakness(code: str, onset: str) -> None:
    evaluation = evaluation_of(WASTING, CaseCondition(code=code, name="Cause", onset=onset))
    assert (evaluation.tier, "no recorded cause" in evaluation.tier_sentence) == ("2", False)
