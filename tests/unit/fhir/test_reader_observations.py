"""Observation: values, units, reference ranges, panels (section 1 obs(), A-48, B-24; patients' surprises)."""

import pytest

from cds_service.coding import Site
from cds_service.record import SetAside
from tests.unit.fhir.samples import (
    BODY_WEIGHT,
    LEFT_LEG,
    LOINC,
    SNOMED,
    bundle,
    concept,
    observation,
    payload,
    quantity,
    read,
)


def observations_of(**fields):
    """The entries that one Observation becomes."""
    return read(payload("observations", bundle(observation(**fields)))).observations


def the_observation(**fields):
    """The only entry."""
    (entry,) = observations_of(**fields)
    return entry


def test_a_result_with_value_unit_range_and_date():
    ranges = [{"low": quantity(30, "U/L"), "high": quantity(200, "U/L")}, {"high": quantity(999, "U/L")}]
    entry = the_observation(referenceRange=ranges)

    assert (entry.reference, entry.sets, entry.value, entry.unit) == (
        "Observation/o1",
        {"creatine-kinase"},
        5200,
        "U/L",
    )
    assert (entry.low, entry.high, entry.comparator, entry.effective.text) == (30, 200, None, "2026-11-26")


@pytest.mark.parametrize("status", ["final", "amended", "corrected"])
def test_these_are_results(status):
    assert len(observations_of(status=status)) == 1


@pytest.mark.parametrize("status", ["registered", "preliminary", "cancelled", "entered-in-error", "unknown", None])
def test_these_are_not(status):
    assert observations_of(status=status) == ()


def test_an_integer_is_a_value_and_words_are_not():
    assert the_observation(valueQuantity=None, valueInteger=7).value == 7
    assert the_observation(valueQuantity=None, valueString="7").value is None
    assert (
        the_observation(valueQuantity=None, valueCodeableConcept=concept({"system": SNOMED, "code": "260385009"})).value
        is None
    )


def test_a_comparator_is_kept():
    assert the_observation(valueQuantity=quantity(10, "mg/L") | {"comparator": "<"}).comparator == "<"


@pytest.mark.parametrize(
    ("written", "unit"),
    [
        ({"value": 1, "unit": "units/litre", "code": "U/L", "system": "http://unitsofmeasure.org"}, "U/L"),
        ({"value": 1, "unit": "units/litre", "code": "U/L"}, "U/L"),
        ({"value": 1, "unit": "U/L", "code": "x17", "system": "http://hospital.example/units"}, "U/L"),
        ({"value": 1, "unit": "kg"}, "kg"),
        ({"value": 1}, None),
    ],
)
def test_the_unit_is_the_ucum_code_else_the_unit_as_written(written, unit):
    assert the_observation(valueQuantity=written).unit == unit


def test_an_observation_with_a_reason_for_no_value_is_no_entry():
    assert observations_of(valueQuantity=None, dataAbsentReason=concept({"code": "not-performed"})) == ()


def test_an_observation_without_any_value_is_no_result_and_is_named():
    record = read(payload("observations", bundle(observation(valueQuantity=None))))

    assert record.observations == ()
    assert record.sources["observations"].set_aside == (SetAside("Observation/o1", "no-value"),)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"effectiveDateTime": "2026-11-01"}, "2026-11-01"),
        ({"effectiveDateTime": None, "effectiveInstant": "2026-11-02T10:00:00Z"}, "2026-11-02T10:00:00Z"),
        ({"effectiveDateTime": None, "effectivePeriod": {"start": "2026-11-01", "end": "2026-11-03"}}, "2026-11-03"),
        ({"effectiveDateTime": None, "effectivePeriod": {"start": "2026-11-01"}}, "2026-11-01"),
    ],
)
def test_when_it_was_measured(fields, text):
    assert the_observation(**fields).effective.text == text


def test_a48_an_undated_observation_stays_undated():
    assert the_observation(effectiveDateTime=None, issued="2026-11-26T10:00:00Z").effective is None


def test_a48_an_observation_dated_ahead_is_ignored_and_named():
    record = read(payload("observations", bundle(observation(effectiveDateTime="2026-12-24"))))

    assert record.observations == ()
    assert record.sources["observations"].set_aside == (SetAside("Observation/o1", "dated-in-the-future"),)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("30-200", (30, 200)),
        (" 0.4 – 4.0 ", (0.4, 4)),
        ("30-200 U/L", (30, 200)),
        ("30-200 mg/dL", (None, None)),
        ("< 200", (None, None)),
        ("30-200-300", (None, None)),
        ("9" * 100_000, (None, None)),
    ],
)
def test_b24_a_reference_range_in_words(text, limits):
    entry = the_observation(referenceRange=[{"text": text}])

    assert (entry.low, entry.high) == limits


def test_a_reference_range_in_another_unit_is_no_range():
    ranges = [{"low": {"value": 0.5}, "high": {"value": 3.3, "unit": "ukat/L", "code": "ukat/L"}}]
    entry = the_observation(referenceRange=ranges)

    assert (entry.low, entry.high) == (0.5, None)


def test_components_are_entries_of_their_own_under_the_panels_name():
    panel = observation(
        "panel",
        code=concept({"system": LOINC, "code": "24323-8"}),
        valueQuantity=None,
        component=[
            {"code": concept(BODY_WEIGHT), "valueQuantity": quantity(70, "kg")},
            {"code": concept({"system": LOINC, "code": "8480-6"}), "valueQuantity": quantity(120, "mm[Hg]")},
            {"code": concept(BODY_WEIGHT), "dataAbsentReason": concept({"code": "unknown"})},
        ],
    )
    (entry,) = read(payload("observations", bundle(panel))).observations

    assert (entry.reference, entry.sets, entry.value) == ("Observation/panel", {"weight"}, 70)
    assert entry.effective.text == "2026-11-26"


def test_a_panel_that_groups_others_was_done_though_it_has_no_value():
    assert the_observation(valueQuantity=None, hasMember=[{"reference": "Observation/o2"}]).value is None


def test_body_site_of_a_measurement():
    assert the_observation(bodySite=concept(LEFT_LEG)).site == Site("left", "lower")


def test_measurements_in_unknown_code_systems_only_cannot_be_judged():
    local = concept({"system": "http://hospital.example/lab", "code": "CK"})
    record = read(payload("observations", bundle(observation(code=local))))

    assert record.sources["observations"].cause == "no-known-code-system"


@pytest.mark.parametrize("value", ["NaN", "1e999", "9" * 400, '"5200"'])
def test_t15_a_number_that_cannot_be_sets_its_observation_aside(value):
    page = b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Observation","id":"o1","status":"final",'
    page += b'"code":{"coding":[{"system":"http://loinc.org","code":"2157-6"}]},"valueQuantity":{"value":%s}}}]}'
    record = read(payload("observations", page % value.encode()))

    assert record.observations == ()
    assert record.state("observations").value == ("failed" if value == "NaN" else "incomplete")


SPECIMEN = {"resourceType": "Specimen", "id": "s", "type": {"text": "Arterial blood"}}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, ""),
        ({"specimen": {"display": "Capillary Blood"}}, "capillary blood"),
        ({"specimen": {"reference": "#s"}, "contained": [SPECIMEN]}, "arterial blood"),
        ({"specimen": {"reference": "#s"}, "contained": [{"resourceType": "Device", "id": "d"}]}, ""),
        ({"specimen": {"reference": "Specimen/1"}}, ""),
    ],
)
def test_b65_the_specimen_in_lower_case_words(fields, words):
    assert the_observation(**fields).specimen == words
