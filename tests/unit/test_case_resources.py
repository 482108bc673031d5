"""A worked patient as FHIR: what a case can say about results, plans and onsets."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from cds_service.case_resources import case_resources
from cds_service.cases import Case, CaseActivity, CaseCondition, CaseResult
from cds_service.rule_engine.code_tables import CodeTables
from cds_service.rule_engine.loader import load_knowledge

RULES = Path(__file__).parents[2] / "rules"
AS_OF = datetime(2026, 11, 27, 12, tzinfo=UTC)
TABLES: CodeTables = load_knowledge(RULES, date(2026, 11, 27)).tables


def the_resource(**lines: object) -> dict[str, object]:
    """The one resource besides the Patient."""
    _, resource = case_resources(Case(id="c", title="c", expect={}, **lines), TABLES, AS_OF)
    return resource


def test_a_result_with_range_comparator_and_specimen() -> None:
    case = CaseResult(
        what="creatine-kinase", value=9600, unit="U/L", on="T-1d", low=30, high=200, comparator=">", specimen="blood"
    )
    written = the_resource(results=(case,))
    assert written["valueQuantity"]["comparator"] == ">"
    assert written["referenceRange"][0]["low"]["value"] == 30
    assert written["referenceRange"][0]["high"]["value"] == 200
    assert written["specimen"] == {"display": "blood"}
    assert written["effectiveDateTime"] == "2026-11-26"


def test_a_result_without_unit_and_date_and_with_a_range_in_words() -> None:
    written = the_resource(results=(CaseResult(what="creatine-kinase", value=9600, range_text="30-200"),))
    assert written["valueQuantity"] == {"value": 9600}
    assert written["referenceRange"] == [{"text": "30-200"}]
    assert "effectiveDateTime" not in written


def test_a_plan_by_code_or_in_words() -> None:
    coded = the_resource(activities=(CaseActivity(kind="plan", what="referral-physiotherapy", on="T-100d"),))
    assert (coded["resourceType"], coded["period"]) == ("CarePlan", {"start": "2026-08-19"})
    assert "code" in coded["activity"][0]["detail"]
    said = the_resource(
        activities=(CaseActivity(kind="plan", text="Weight programme", on="T-100d", status="completed"),)
    )
    assert said["status"] == "completed"
    assert said["activity"][0]["detail"] == {"status": "in-progress", "description": "Weight programme"}


def test_an_onset_in_words() -> None:
    written = the_resource(conditions=(CaseCondition(code="M62.81", name="Weakness", onset_text="since spring"),))
    assert written["onsetString"] == "since spring"


def test_both_legs_are_a_left_and_a_right_one() -> None:
    """A-10."""
    weak = CaseCondition(code="713514005", name="Muscle weakness of limb", site="both legs")
    assert [site["text"] for site in the_resource(conditions=(weak,))["bodySite"]] == ["left leg", "right leg"]
