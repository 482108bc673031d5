"""FHIR datatypes on the chart page: every shape that R4 allows becomes a short text, and no text deceives the eye."""

from datetime import date

import pytest

from cds_service.web.chart_rows import read_banner, read_chart
from cds_service.web.chart_text import age_in_years, concept_text, dosage_text, plain, range_flag, range_text, span


@pytest.mark.parametrize(
    ("concept", "shown"),
    [
        ({"text": "Weak legs", "coding": [{"code": "x", "display": "Weakness"}]}, "Weak legs"),
        ({"coding": [{"code": "x", "display": "Weakness"}]}, "Weakness"),
        ({"coding": [{"code": "x"}]}, "x"),
        ({}, "(no name)"),
        (None, "(no name)"),
    ],
)
def test_a_concept_is_shown_by_its_text_then_its_display_then_its_code(concept, shown):
    assert concept_text(concept) == shown


@pytest.mark.parametrize("deceiving", ["\u202e", "\u2066", "\u200b", "\u0007", "\ufeff"])
def test_characters_that_deceive_the_eye_become_a_visible_mark(deceiving):
    """T11: bidirectional overrides, zero-width and control characters."""
    assert plain(f"a{deceiving}b") == "a\ufffdb"


@pytest.mark.parametrize(
    ("dosage", "shown"),
    [
        ({"text": "one in the morning"}, "one in the morning"),
        (
            {
                "doseAndRate": [{"doseQuantity": {"value": 20.0, "unit": "mg"}}],
                "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
                "route": {"text": "oral"},
            },
            "20 mg, 1 × a day, oral",
        ),
        (
            {"doseQuantity": {"value": 2.5, "unit": "mg"}, "timing": {"repeat": {"period": 2, "periodUnit": "wk"}}},
            "2.5 mg, 1 × every 2 weeks",
        ),
        ({"asNeededBoolean": True}, "as needed"),
        ({}, ""),
    ],
)
def test_a_dosage_is_shown_as_written_or_in_its_parts(dosage, shown):
    """P-14: doseQuantity may stand in the dosage itself."""
    assert dosage_text(dosage) == shown


def test_a_result_is_flagged_against_its_own_range_only():
    limits = {"low": {"value": 3.5, "unit": "mmol/L"}, "high": {"value": 5.1, "unit": "mmol/L"}}
    flags = [range_flag({"valueQuantity": {"value": value}}, limits) for value in (3.4, 3.5, 5.1, 5.2)]
    assert flags == ["low", "", "", "high"]
    assert range_flag({"valueQuantity": {"value": 99}}, {}) == ""
    assert range_text(limits) == "3.5 – 5.1 mmol/L"


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [
        ("2026-11-01T09:00:00Z", "2026-11-01T09:30:00Z", "2026-11-01"),
        ("2026-11", None, "2026-11"),
        ("2025", "2026-01-31", "2025 – 2026-01-31"),
        (None, "2026-01-31", "until 2026-01-31"),
        (None, None, ""),
    ],
)
def test_a_period_keeps_the_precision_it_was_written_with(start, end, shown):
    assert span(start, end) == shown


def test_age_counts_completed_years_and_is_unknown_for_a_partial_birth_date():
    assert age_in_years("1960-11-28", date(2026, 11, 27)) == 65
    assert age_in_years("1960-11-27", date(2026, 11, 27)) == 66
    assert age_in_years("1960", date(2026, 11, 27)) is None


def bundle(*resources):
    return {"resourceType": "Bundle", "entry": [{"resource": resource} for resource in resources]}


def test_a_bundle_without_a_patient_has_a_banner_that_says_so():
    assert read_banner(bundle(), date(2026, 11, 27)).name == "(no name)"


def test_what_is_over_stands_after_what_is_current_and_the_newest_comes_first():
    def problem(number, onset, status):
        clinical = {"coding": [{"code": status}]}
        return {"resourceType": "Condition", "id": str(number), "clinicalStatus": clinical, "onsetDateTime": onset}

    chart = read_chart(
        bundle(problem(1, "2020-01-01", "active"), problem(2, "2026-01-01", "resolved"), problem(3, "2024", "active"))
    )
    assert [(row.anchor, row.past) for row in chart.problems] == [
        ("Condition-3", False),
        ("Condition-1", False),
        ("Condition-2", True),
    ]


@pytest.mark.parametrize(
    "reference",
    ["Medication/m1", "https://ehr.example.org/fhir/Medication/m1", "#inside"],
)
def test_a_referenced_drug_is_named(reference):
    medication = {"resourceType": "Medication", "id": "m1", "code": {"text": "Prednisone 5 MG"}}
    order = {
        "resourceType": "MedicationRequest",
        "id": "r1",
        "contained": [{**medication, "id": "inside"}],
        "medicationReference": {"reference": reference},
    }
    assert read_chart(bundle(medication, order)).medications[0].name == "Prednisone 5 MG"


def test_a_refuted_or_mistaken_entry_is_shown_with_its_status_and_dimmed():
    wrong = {
        "resourceType": "Condition",
        "id": "c1",
        "code": {"text": "Motor neurone disease"},
        "verificationStatus": {"coding": [{"code": "refuted"}]},
        "recordedDate": "2026-05-01",
    }
    (row,) = read_chart(bundle(wrong)).problems
    assert (row.status, row.date, row.past) == ("refuted", "recorded 2026-05-01", True)
