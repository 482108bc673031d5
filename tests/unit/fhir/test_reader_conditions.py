"""Condition and FamilyMemberHistory: statuses, onsets, sites (A-10, A-44, A-45, A-48, B-60, C41)."""

from datetime import date

import pytest

from cds_service.coding import NOWHERE, Coding, Site
from cds_service.record import SetAside
from tests.unit.fhir.samples import (
    HOSPICE,
    ICD10CM,
    LEFT_LEG,
    LOWER_LIMB,
    MUSCLE_WEAKNESS,
    PATIENT,
    RIGHT_LEG,
    SNOMED,
    SNOMED_OID,
    UNILATERAL_LEFT,
    bundle,
    concept,
    condition,
    payload,
    read,
    resource,
)

CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


def the_condition(patient=PATIENT, **fields):
    """The entry that one Condition becomes."""
    (entry,) = read(payload("conditions", bundle(condition(**fields))), patient=patient).conditions
    return entry


def test_several_codings_are_one_entry_with_the_sets_of_all():
    entry = the_condition(code=concept({"system": ICD10CM, "code": "M62.81"}, MUSCLE_WEAKNESS, text="weak"))

    assert entry.sets == {"weakness", "nonspecific-weakness"}
    assert entry.coding == Coding(ICD10CM, "M62.81")
    assert entry.display == "weak"


def test_the_first_coding_that_means_something_names_the_entry():
    local = {"system": "http://hospital.example/codes", "code": "W1", "display": "local words"}
    entry = the_condition(code=concept(local, MUSCLE_WEAKNESS))

    assert (entry.coding, entry.display) == (Coding(SNOMED, "26544005"), "Muscle weakness (finding)")


def test_a_code_by_prefix_and_a_system_under_its_oid():
    assert the_condition(code=concept({"system": ICD10CM, "code": "G35.A"})).sets == {"multiple-sclerosis"}
    assert the_condition(code=concept(MUSCLE_WEAKNESS | {"system": SNOMED_OID})).coding == Coding(SNOMED, "26544005")


def test_codes_that_mean_nothing_to_the_rules_leave_no_entry_and_no_complaint():
    social = concept({"system": SNOMED, "code": "160903007", "display": "Full-time employment (finding)"})
    record = read(payload("conditions", bundle(condition(code=social))))

    assert (record.conditions, record.sources["conditions"].set_aside) == ((), ())


@pytest.mark.parametrize(
    ("written", "status"),
    [
        (concept({"system": CLINICAL, "code": "active"}), "active"),
        (concept({"system": "http://hospital.example/status", "code": "remission"}), "remission"),
        (concept({"code": "1"}, {"system": CLINICAL, "code": "resolved"}), "resolved"),
        (concept({"code": "Active"}), "active"),
        ({"text": "Inactive"}, "inactive"),
        ("resolved", "resolved"),  # the shape of STU3 (C41)
        (concept({"code": "odd"}), "odd"),
        (None, None),
        ({}, None),
    ],
)
def test_clinical_status_of_any_system_and_shape(written, status):
    assert the_condition(clinicalStatus=written).clinical_status == status


def test_verification_status():
    assert the_condition(verificationStatus=concept({"code": "refuted"})).verification_status == "refuted"
    assert the_condition().verification_status is None


@pytest.mark.parametrize(
    "category", [[concept({"code": "encounter-diagnosis"})], concept({"code": "encounter-diagnosis"})]
)
def test_category_may_be_an_object_as_in_epics_sample(category):
    assert the_condition(category=category).encounter_diagnosis


def test_a_problem_list_item_is_no_encounter_diagnosis():
    assert not the_condition(category=[concept({"code": "problem-list-item"})]).encounter_diagnosis
    assert not the_condition().encounter_diagnosis


@pytest.mark.parametrize(
    ("fields", "first", "last", "precision"),
    [
        ({"onsetDateTime": "2026-11-20"}, date(2026, 11, 20), date(2026, 11, 20), "day"),
        ({"onsetDateTime": "2026-11"}, date(2026, 11, 1), date(2026, 11, 30), "month"),
        ({"onsetDateTime": "2020"}, date(2020, 1, 1), date(2020, 12, 31), "year"),
        ({"onsetDateTime": "2026-11-20T23:30:00Z"}, date(2026, 11, 21), date(2026, 11, 21), "instant"),
        ({"onsetDateTime": "2026-11-20T10:00:00.123456789-05:00"}, date(2026, 11, 20), date(2026, 11, 20), "instant"),
        ({"onsetPeriod": {"start": "2026-10-01", "end": "2026-10-09"}}, date(2026, 10, 1), date(2026, 10, 1), "day"),
        # born 1970-05-10: "at 30 years" is the whole year from the birthday on (B-60)
        ({"onsetAge": {"value": 30, "code": "a"}}, date(2000, 5, 10), date(2001, 5, 9), "year"),
        ({"onsetAge": {"value": 30, "unit": "years"}}, date(2000, 5, 10), date(2001, 5, 9), "year"),
        ({"onsetAge": {"value": 9, "code": "mo"}}, date(1971, 2, 10), date(1971, 3, 9), "month"),
        ({"onsetAge": {"value": 2, "code": "wk"}}, date(1970, 5, 24), date(1970, 5, 30), "month"),
        ({"onsetAge": {"value": 3, "code": "d"}}, date(1970, 5, 13), date(1970, 5, 13), "day"),
    ],
)
def test_b60_onset_has_the_precision_with_which_it_was_written(fields, first, last, precision):
    onset = the_condition(**fields).onset

    assert (onset.first_day, onset.last_day, onset.precision) == (first, last, precision)


def test_b60_an_age_at_onset_needs_a_birth_date():
    age = {"value": 30, "code": "a"}

    assert the_condition(patient={"resourceType": "Patient", "id": "p1"}, onsetAge=age).onset is None
    year_only = the_condition(patient=PATIENT | {"birthDate": "1970"}, onsetAge=age).onset
    assert (year_only.first_day, year_only.last_day) == (date(2000, 1, 1), date(2001, 12, 30))


@pytest.mark.parametrize(
    "age", [{"value": -1, "code": "a"}, {"value": 1e300, "code": "a"}, {"value": 3, "code": "km"}, {}]
)
def test_an_age_that_cannot_be_is_no_onset(age):
    assert the_condition(onsetAge=age).onset is None


def test_a_leap_day_birthday_has_an_age_too():
    onset = the_condition(patient=PATIENT | {"birthDate": "1972-02-29"}, onsetAge={"value": 1, "code": "a"}).onset

    assert onset.first_day == date(1973, 2, 28)


def test_a45_an_onset_in_words_is_no_onset_and_is_marked():
    entry = the_condition(onsetString="about two years ago", recordedDate="2026-11-01")

    assert (entry.onset, entry.onset_is_text, entry.recorded.text) == (None, True, "2026-11-01")
    assert not the_condition(onsetDateTime="2026-11-01").onset_is_text


def test_a_date_that_cannot_be_read_is_named_and_the_condition_stays_undated():
    record = read(payload("conditions", bundle(condition(onsetDateTime="last spring"))))

    assert record.conditions[0].onset is None
    assert record.sources["conditions"].set_aside == (SetAside("Condition/c1", "date-not-readable"),)


@pytest.mark.parametrize("fields", [{"onsetDateTime": "2026-12-01"}, {"recordedDate": "2027"}])
def test_a48_a_condition_dated_more_than_a_day_ahead_is_ignored_and_named(fields):
    record = read(payload("conditions", bundle(condition(**fields))))

    assert record.conditions == ()
    assert record.sources["conditions"].set_aside == (SetAside("Condition/c1", "dated-in-the-future"),)


def test_b60_up_to_24_hours_ahead_counts_as_now():
    assert the_condition(onsetDateTime="2026-11-28T11:59:00+01:00").onset is not None
    assert the_condition(onsetDateTime="2026-11-28").onset is not None


def test_a_known_onset_survives_a_recorded_date_that_lies_ahead():
    entry = the_condition(onsetDateTime="2026-11-01", recordedDate="2027-11-01")

    assert (entry.onset.text, entry.recorded) == ("2026-11-01", None)


@pytest.mark.parametrize(
    ("fields", "abated"),
    [
        ({}, False),
        ({"abatementDateTime": "2026-01-01"}, True),
        ({"abatementDateTime": "2030-01-01"}, False),
        ({"abatementAge": {"value": 50, "code": "a"}}, True),
        ({"abatementPeriod": {"start": "2020"}}, True),
        ({"abatementRange": {"low": {"value": 50}}}, True),
        ({"abatementString": "last year"}, True),
        ({"abatementBoolean": True}, True),
        ({"abatementBoolean": False}, False),
    ],
)
def test_any_abatement_means_abated(fields, abated):
    assert the_condition(**fields).abated is abated


@pytest.mark.parametrize(
    ("body_sites", "site"),
    [
        ([], NOWHERE),
        ([concept(LEFT_LEG)], Site("left", "lower")),
        ([concept(LOWER_LIMB, UNILATERAL_LEFT)], Site("left", "lower")),
        ([concept(LOWER_LIMB), concept(UNILATERAL_LEFT)], Site("left", "lower")),
        ([concept(LEFT_LEG), concept(RIGHT_LEG)], Site("bilateral", "lower")),
        ([{"text": "left leg"}], NOWHERE),
    ],
)
def test_a10_side_and_limb_come_from_body_site_codes(body_sites, site):
    assert the_condition(bodySite=body_sites).site == site


def test_a_lateralised_code_has_its_own_site_and_body_site_wins_over_it():
    hemiplegia = concept({"system": ICD10CM, "code": "G81.91"})

    assert the_condition(code=hemiplegia).site == Site("right", None)
    assert the_condition(code=hemiplegia, bodySite=[concept(LEFT_LEG)]).site == Site("left", "lower")


def test_severity_is_a_coding():
    assert the_condition(severity=concept({"system": SNOMED, "code": "24484000"})).severity == Coding(
        SNOMED, "24484000"
    )


def test_g4_family_history_is_kept_apart():
    history = resource(
        "FamilyMemberHistory",
        "f1",
        subject=None,
        patient={"reference": "Patient/p1"},
        status="completed",
        relationship=concept({"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "FTH"}),
        condition=[{"code": concept(MUSCLE_WEAKNESS)}, {"code": concept({"system": SNOMED, "code": "38341003"})}, {}],
    )
    record = read(payload("familyHistory", bundle(history)))

    (entry,) = record.family_history
    assert (entry.reference, entry.sets, entry.relationship) == ("FamilyMemberHistory/f1", {"weakness"}, "FTH")
    assert record.conditions == ()
    assert read(payload("familyHistory", bundle(history | {"status": "entered-in-error"}))).family_history == ()


def test_family_history_in_words_only_is_named():
    history = resource("FamilyMemberHistory", "f1", condition=[{"code": {"text": "weak muscles"}}])
    record = read(payload("familyHistory", bundle(history)))

    assert record.sources["familyHistory"].set_aside == (SetAside("FamilyMemberHistory/f1", "no-known-code"),)


def test_family_history_of_another_patient_is_dropped():
    other = resource("FamilyMemberHistory", subject=None, patient={"reference": "Patient/p2"}, condition=[])

    assert read(payload("familyHistory", bundle(other))).state("familyHistory").value == "failed"


def test_hospice_is_read_wherever_it_stands():
    """A-44: Condition, Procedure, ServiceRequest or the discharge disposition of an Encounter."""
    stay = resource("Encounter", hospitalization={"dischargeDisposition": concept(HOSPICE)})
    record = read(
        payload("conditions", bundle(condition(code=concept(HOSPICE)))),
        payload("procedures", bundle(resource("Procedure", code=concept(HOSPICE)))),
        payload("orders", bundle(resource("ServiceRequest", code=concept(HOSPICE)))),
        payload("encounters", bundle(stay)),
    )

    found = [*record.conditions, *record.activities, *record.visits]
    assert [type(entry).__name__ for entry in found] == [
        "ConditionEntry",
        "ActivityEntry",
        "ActivityEntry",
        "VisitEntry",
    ]
    assert all("hospice" in entry.sets for entry in found)
