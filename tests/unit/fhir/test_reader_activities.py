"""Procedure, DiagnosticReport, ServiceRequest, CarePlan, Encounter, Appointment (A-43, A-48, A-56, B-09, B-53)."""

import pytest

from cds_service.coding import CodeCertainty, Coding
from tests.unit.fhir.samples import (
    ELECTROMYOGRAPHY,
    EMG_ORDER,
    HOSPICE,
    MUSCLE_WEAKNESS,
    NERVE_CONDUCTION,
    NEUROLOGY,
    SNOMED,
    bundle,
    concept,
    payload,
    read,
    resource,
)

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def activities_of(source, *items):
    """The activities of one source."""
    return read(payload(source, bundle(*items))).activities


def visits_of(source, *items):
    """The visits of one source."""
    return read(payload(source, bundle(*items))).visits


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"performedDateTime": "2026-05-01"}, "2026-05-01"),
        ({"performedPeriod": {"start": "2026-05-01", "end": "2026-05-03"}}, "2026-05-03"),
        ({"performedPeriod": {"start": "2026-05-01"}}, "2026-05-01"),
        ({"performedString": "in spring"}, None),
    ],
)
def test_a_procedure_is_dated_by_its_end(fields, text):
    item = resource("Procedure", status="completed", code=concept(ELECTROMYOGRAPHY), **fields)
    (found,) = activities_of("procedures", item)

    assert (found.sets, found.status, found.date and found.date.text) == ({"electromyography"}, "completed", text)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"effectiveDateTime": "2026-05-01", "issued": "2026-05-09T10:00:00Z"}, "2026-05-01"),
        ({"effectivePeriod": {"end": "2026-05-02"}}, "2026-05-02"),
        ({"issued": "2026-05-09T10:00:00Z"}, "2026-05-09T10:00:00Z"),
    ],
)
def test_a_report_is_dated_by_effective_else_issued_and_keeps_its_status(fields, text):
    item = resource("DiagnosticReport", status="preliminary", code=concept(NERVE_CONDUCTION), **fields)
    (found,) = activities_of("reports", item)

    assert (found.date.text, found.status, found.sets) == (text, "preliminary", {"nerve-conduction-study"})


def test_b53_our_own_order_is_found_by_its_own_code_and_by_its_details():
    item = resource(
        "ServiceRequest",
        status="active",
        intent="order",
        authoredOn="2026-11-01",
        code=concept(EMG_ORDER, text="EMG and nerve conduction"),
        orderDetail=[concept(ELECTROMYOGRAPHY), concept(NERVE_CONDUCTION)],
        reasonCode=[concept(MUSCLE_WEAKNESS)],
    )
    (found,) = activities_of("orders", item)

    assert found.sets == {"emg-ncs", "electromyography", "nerve-conduction-study"}
    assert (found.coding, found.display) == (Coding(EMG_ORDER["system"], "emg-ncs"), "EMG and nerve conduction")
    assert (found.status, found.intent, found.date.text, found.reason_sets) == (
        "active",
        "order",
        "2026-11-01",
        {"weakness"},
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"performerType": concept(NEUROLOGY)},
        {"performerType": {"text": "Neurology"}},
        {"code": concept(NEUROLOGY)},
        {"code": {"text": " neurology "}},
    ],
)
def test_b09_a_referral_names_its_specialty_by_code_or_exact_text(fields):
    (found,) = activities_of("orders", resource("ServiceRequest", status="active", **fields))

    assert "specialty-neurology" in found.specialties


def test_b09_words_around_the_specialty_do_not_count():
    assert activities_of("orders", resource("ServiceRequest", code={"text": "not neurology"})) == ()


def test_a43_a_plan_is_one_entry_for_each_activity_that_means_something():
    item = resource(
        "CarePlan",
        "plan",
        status="active",
        intent="plan",
        period={"start": "2026-06-01"},
        activity=[
            {"detail": {"code": concept(ELECTROMYOGRAPHY), "status": "scheduled"}},
            {"detail": {"code": concept(ELECTROMYOGRAPHY), "status": "cancelled"}},
            {"detail": {"description": "Lose weight slowly"}},
            {"detail": {"description": "Reweighting"}},
            {"reference": {"reference": "ServiceRequest/s1"}},
        ],
    )
    found = activities_of("carePlans", item)

    assert [(entry.status, entry.sets) for entry in found] == [
        ("active", {"electromyography"}),
        ("cancelled", {"electromyography"}),
        ("active", {"weight-loss-programme"}),
    ]
    assert {(entry.reference, entry.date.text, entry.intent) for entry in found} == {
        ("CarePlan/plan", "2026-06-01", "plan")
    }


@pytest.mark.parametrize(
    ("detail", "certainty"),
    [
        ({"code": concept(ELECTROMYOGRAPHY)}, CodeCertainty.EXACT),
        ({"description": "Lose weight slowly"}, CodeCertainty.TEXT),
        ({"code": concept(ELECTROMYOGRAPHY), "description": "weight"}, CodeCertainty.TEXT),
    ],
    ids=["code", "words", "words that say more than the code"],
)
def test_a43_how_surely_a_plan_is_what_it_is(detail, certainty):
    (found,) = activities_of(
        "carePlans", resource("CarePlan", period={"start": "2026-06-01"}, activity=[{"detail": detail}])
    )

    assert found.certainty is certainty


def test_a56_a_plan_may_name_its_aim_in_its_title():
    (found,) = activities_of("carePlans", resource("CarePlan", title="Weight clinic", created="2026-06-01"))

    assert (found.sets, found.display, found.date.text) == ({"weight-loss-programme"}, "Weight clinic", "2026-06-01")


@pytest.mark.parametrize(
    ("source", "item"),
    [
        ("procedures", resource("Procedure", code=concept(ELECTROMYOGRAPHY), performedDateTime="2027-01-01")),
        ("reports", resource("DiagnosticReport", code=concept(ELECTROMYOGRAPHY), issued="2027-01-01")),
        ("orders", resource("ServiceRequest", code=concept(ELECTROMYOGRAPHY), authoredOn="2027-01-01")),
        ("carePlans", resource("CarePlan", title="weight", created="2027-01-01")),
        ("encounters", resource("Encounter", status="finished", period={"start": "2027-01-01"})),
    ],
)
def test_a48_nothing_that_is_dated_ahead_counts(source, item):
    record = read(payload(source, bundle(item)))

    assert (record.activities, record.visits) == ((), ())
    assert [aside.reason for aside in record.sources[source].set_aside] == ["dated-in-the-future"]


@pytest.mark.parametrize("source", ["procedures", "reports", "orders"])
def test_activities_without_a_known_code_are_named(source):
    kind = {"procedures": "Procedure", "reports": "DiagnosticReport", "orders": "ServiceRequest"}[source]
    record = read(payload(source, bundle(resource(kind, code={"text": "EMG"}))))

    assert [aside.reason for aside in record.sources[source].set_aside] == ["no-known-code"]
    assert record.state(source).value == "complete"


def test_an_encounter_with_setting_specialty_place_and_reason():
    item = resource(
        "Encounter",
        "e1",
        status="finished",
        period={"start": "2026-10-01T08:00:00+02:00", "end": "2026-10-09"},
        serviceType=concept(NEUROLOGY),
        location=[{"location": {"display": "Intensive Care"}}, {"location": {"reference": "Location/1"}}],
        reasonCode=[concept(MUSCLE_WEAKNESS)],
        hospitalization={"dischargeDisposition": concept(HOSPICE)},
        **{"class": {"system": ACT_CODE, "code": "IMP"}},
    )
    (found,) = visits_of("encounters", item)

    assert (found.reference, found.setting, found.status, found.display) == (
        "Encounter/e1",
        "IMP",
        "finished",
        "Neurology",
    )
    assert found.specialties == {"specialty-neurology", "specialty-critical-care"}
    assert (found.start.text, found.end.text) == ("2026-10-01T08:00:00+02:00", "2026-10-09")
    assert (found.sets, found.reason_sets) == ({"hospice"}, {"weakness"})


def test_s64_days_in_a_specialtys_place_are_days_there_not_the_whole_stay():
    """S64, B-09: "ICU at least 7 days". What a place leaves open is the stay's; a move from bed to bed ends nothing."""

    def place(start=None, end=None, **more):
        period = {name: day for name, day in (("start", start), ("end", end)) if day}
        return {"location": {"display": "Intensive Care"}, "period": period, **more}

    def days_there(*places, **more):
        period = {"start": "2026-09-01", "end": "2026-10-09"}
        item = resource("Encounter", "e1", **{"status": "finished", "period": period, "location": [*places], **more})
        whole, *there = visits_of("encounters", item)
        assert whole.specialties == frozenset()
        assert all(visit.specialties == {"specialty-critical-care"} for visit in there)
        return [(visit.start.text, visit.end and visit.end.text) for visit in there]

    assert days_there(place("2026-09-02", "2026-09-05")) == [("2026-09-02", "2026-09-05")]
    assert days_there(place("2026-09-02"), place(end="2026-09-01")) == [("2026-09-01", "2026-10-09")]
    assert days_there(place("2026-09-05", "2026-09-08"), place("2026-09-02", "2026-09-04")) == [
        ("2026-09-02", "2026-09-08")
    ]
    assert days_there(place("2026-09-06", "2026-09-08"), place("2026-09-02", "2026-09-04")) == [
        ("2026-09-02", "2026-09-04"),
        ("2026-09-06", "2026-09-08"),
    ]
    assert days_there(place("2026-09-02", "2026-09-20"), place("2026-09-04", "2026-09-05")) == [
        ("2026-09-02", "2026-09-20")
    ]
    assert days_there(place("2026-09-02", status="planned"), place("2026-09-02", status="reserved")) == []
    still = {"status": "in-progress", "period": {"start": "2026-09-01"}}
    assert days_there(place("2026-09-02"), **still) == [("2026-09-02", None)]
    assert days_there(place("2026-09-02"), place("2026-09-04", "2026-09-05"), **still) == [("2026-09-02", None)]


def test_an_encounter_without_a_start_is_no_visit():
    assert visits_of("encounters", resource("Encounter", status="finished")) == ()


def test_an_appointment_without_a_start_is_no_visit():
    assert visits_of("appointments", resource("Appointment", subject=None, status="proposed")) == ()


def test_a_planned_encounter_may_lie_ahead():
    assert len(visits_of("encounters", resource("Encounter", status="planned", period={"start": "2027-01-01"}))) == 1


@pytest.mark.parametrize("field", ["specialty", "serviceType"])
def test_b09_an_appointment_names_its_specialty_and_may_lie_ahead(field):
    item = resource(
        "Appointment",
        "a1",
        subject=None,
        status="booked",
        start="2027-01-10T09:00:00+01:00",
        **{field: [concept(NEUROLOGY)]},
    )
    (found,) = visits_of("appointments", item)

    assert (found.specialties, found.status, found.start.text) == (
        {"specialty-neurology"},
        "booked",
        "2027-01-10T09:00:00+01:00",
    )


def test_participants_of_an_encounter_have_no_specialty_in_r4():
    person = [{"type": [concept(NEUROLOGY)], "individual": {"display": "Neurology"}}]
    (found,) = visits_of("encounters", resource("Encounter", period={"start": "2026-10-01"}, participant=person))

    assert found.specialties == frozenset()


def test_a_code_of_an_unknown_system_in_a_specialty_is_not_an_error():
    odd = concept({"system": SNOMED, "code": "1"}, {"code": "x"})
    assert (
        visits_of("encounters", resource("Encounter", period={"start": "2026-10-01"}, serviceType=odd))[0].specialties
        == frozenset()
    )
