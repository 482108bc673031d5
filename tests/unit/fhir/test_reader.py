"""Sources and patients: what was seen, what was not, and whose it is (C33-C36, T9, P-02, P-06, P-07)."""

import json

import pytest

from cds_service.errors import BadRequest, DataNotAvailable
from cds_service.fhir.reader import payloads_from_resources, read_record
from cds_service.record import SetAside, SourceState
from tests.unit.fhir.samples import (
    AS_OF,
    MUSCLE_WEAKNESS,
    PATIENT,
    VOCABULARY,
    bundle,
    concept,
    condition,
    entry,
    observation,
    outcome,
    payload,
    read,
    resource,
)

COMPLETE, INCOMPLETE, FAILED = SourceState.COMPLETE, SourceState.INCOMPLETE, SourceState.FAILED


def conditions_of(*pages, **options):
    """The conditions source and its entries."""
    record = read(payload("conditions", *pages), **options)
    return record.sources["conditions"], record.conditions


# --- what a source says about itself ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page", [b"null", bundle(), {"resourceType": "Bundle"}, {"resourceType": "Bundle", "total": 9}]
)
def test_c34_c35_null_and_an_empty_searchset_are_a_search_that_found_nothing(page):
    source, entries = conditions_of(page)

    assert (source.state, source.cause, source.set_aside, entries) == (COMPLETE, None, (), ())


def test_p02_epics_empty_search_is_complete_and_counted():
    source, _ = conditions_of(bundle(entry(outcome("warning", "processing", "4101"), mode="outcome")))

    assert (source.state, source.harmless_outcomes) == (COMPLETE, 1)


def test_p02_only_what_holds_nothing_back_is_counted_as_harmless():
    harmless = entry(outcome("information", "informational"), mode="outcome")
    held_back = entry(outcome("error", "suppressed"), mode="outcome")

    source, _ = conditions_of(bundle(condition(), harmless, held_back, harmless))

    assert (source.state, source.harmless_outcomes) == (INCOMPLETE, 2)


def test_p02_an_error_beside_resources_fails_the_source_but_its_resources_are_read():
    source, entries = conditions_of(bundle(condition(), entry(outcome("error", "exception"), mode="outcome")))

    assert (source.state, source.cause) == (FAILED, "outcome-error")
    assert len(entries) == 1


def test_p02_something_held_back_is_incomplete():
    source, entries = conditions_of(bundle(condition(), entry(outcome("error", "suppressed"), mode="outcome")))

    assert (source.state, source.cause) == (INCOMPLETE, "outcome-incomplete")
    assert len(entries) == 1


def test_p07_an_error_in_place_of_the_value_has_failed():
    assert conditions_of(outcome("error", "suppressed"))[0].state is FAILED


@pytest.mark.parametrize("page", [observation(), {"resourceType": "Binary", "id": "b"}])
def test_p07_a_value_of_another_type_is_a_failed_source(page):
    source, entries = conditions_of(page)

    assert (source.state, source.cause, entries) == (FAILED, "wrong-resource-type", ())


def test_a_match_of_another_type_is_a_fault_and_an_include_is_not():
    faulty, _ = conditions_of(bundle(condition(), observation()))
    good, _ = conditions_of(
        bundle(condition(), entry(PATIENT, mode="include"), entry({"resourceType": "Practitioner"}))
    )

    assert (faulty.state, faulty.set_aside) == (INCOMPLETE, (SetAside("Observation/o1", "wrong-resource-type"),))
    assert good.state is COMPLETE


def test_entries_whose_search_mode_is_neither_match_nor_include_are_skipped():
    _, entries = conditions_of(bundle(condition("c1"), entry(condition("c2"), mode="outcome"), entry(condition("c3"))))

    assert [found.reference for found in entries] == ["Condition/c1", "Condition/c3"]


def test_t22_null_entries_and_entries_without_resource_are_passed_over():
    page = {"resourceType": "Bundle", "entry": [None, {}, {"resource": None}, {"fullUrl": "x"}, entry(condition())]}
    source, entries = conditions_of(page)

    assert (source.state, len(entries)) == (COMPLETE, 1)


def test_c36_all_pages_are_read_and_the_same_resource_counts_once():
    source, entries = conditions_of(bundle(condition("c1"), condition("c2")), bundle(condition("c2"), condition("c3")))

    assert [found.reference for found in entries] == ["Condition/c1", "Condition/c2", "Condition/c3"]
    assert source.state is COMPLETE


def test_a_single_resource_stands_for_a_page():
    assert len(conditions_of(condition())[1]) == 1


def test_what_the_fetch_says_stays_and_only_gets_worse():
    deadline = payload("conditions", bundle(condition()), state=INCOMPLETE, cause="page-limit")
    record = read(
        deadline, payload("orders", state=SourceState.NOT_OFFERED), payload("reports", state=FAILED, cause="x")
    )

    assert (record.sources["conditions"].state, record.sources["conditions"].cause) == (INCOMPLETE, "page-limit")
    assert record.state("orders") is SourceState.NOT_OFFERED
    assert (record.sources["reports"].state, record.sources["reports"].cause) == (FAILED, "x")
    assert record.state("appointments") is SourceState.NOT_NEEDED


def test_c30_prefetch_and_fetch_give_the_same_entries():
    pages = (bundle(condition("c1"), observation("o1")), bundle(condition("c2")))

    assert (
        read(payload("conditions", *pages)).conditions
        == read(payload("conditions", *pages, origin="fetch")).conditions
        != ()
    )


def test_a_resource_that_does_not_fit_is_set_aside_and_the_rest_is_read():
    odd = condition("odd", bodySite="left leg")
    source, entries = conditions_of(bundle(odd, condition("c1")))

    assert [found.reference for found in entries] == ["Condition/c1"]
    assert source.set_aside == (SetAside("Condition/odd", "not-readable"),)
    assert (source.state, source.cause) == (INCOMPLETE, "not-readable")


def test_nothing_readable_is_a_failed_source():
    assert conditions_of(bundle(condition("odd", bodySite="left leg")))[0].state is FAILED
    assert conditions_of(condition("odd", bodySite="left leg"))[0].state is FAILED


def test_a_part_that_is_decoded_late_and_does_not_fit_sets_its_resource_aside():
    source, entries = conditions_of(bundle(condition("odd", clinicalStatus=7), condition("c1")))

    assert (len(entries), source.state) == (1, INCOMPLETE)
    assert source.set_aside == (SetAside("Condition/odd", "not-readable"),)


def test_set_aside_resources_are_listed_up_to_fifty_and_the_rest_counted():
    source, _ = conditions_of(bundle(*[condition(f"c{n}", code={"text": "weak"}) for n in range(61)], condition("ok")))

    assert len(source.set_aside) == 51
    assert source.set_aside[0] == SetAside("Condition/c0", "no-known-code")
    assert source.set_aside[-1] == SetAside("11 more", "not-listed")


@pytest.mark.parametrize(
    "code",
    [
        {"text": "Muscle weakness"},
        concept({"system": "http://hospital.example/codes", "code": "W1"}),
        concept({"system": MUSCLE_WEAKNESS["system"], "code": ""}),
        concept({"code": MUSCLE_WEAKNESS["code"]}),
        {},
        None,
    ],
)
def test_a_chart_that_nobody_can_interpret_is_not_a_chart_without_disease(code):
    source, entries = conditions_of(bundle(condition(code=code)))

    assert (source.state, source.cause, entries) == (INCOMPLETE, "no-known-code-system", ())
    assert source.set_aside == (SetAside("Condition/c1", "no-known-code"),)


def test_one_condition_in_a_known_system_is_enough_to_judge():
    other = concept({"system": MUSCLE_WEAKNESS["system"], "code": "38341003"})
    source, entries = conditions_of(bundle(condition("c1", code={"text": "weak"}), condition("c2", code=other)))

    assert (source.state, entries) == (COMPLETE, ())


# --- whose it is (T9, P-06) ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "Patient/p1"},
        {"reference": "https://ehr.example/fhir/Patient/p1"},
        {"reference": "https://ehr.example/fhir/Patient/p1/_history/3"},
        {"reference": "urn:uuid:p1"},
        {"display": "somebody"},
        None,
    ],
)
def test_references_that_mean_this_patient(subject):
    source, entries = conditions_of(bundle(condition(subject=subject)))

    assert (source.state, len(entries)) == (COMPLETE, 1)


@pytest.mark.parametrize(
    "reference",
    ["Patient/p2", "https://ehr.example/fhir/Patient/p2", "urn:uuid:p2", "Group/p1", "#p1", "p1", "Patient/p1/x", ""],
)
def test_t9_resources_of_another_patient_are_dropped_and_named(reference):
    source, entries = conditions_of(bundle(condition("c1"), condition("c2", subject={"reference": reference})))

    assert [found.reference for found in entries] == ["Condition/c1"]
    assert source.set_aside == (SetAside("Condition/c2", "another-patient"),)
    assert (source.state, source.cause) == (INCOMPLETE, "another-patient")


@pytest.mark.parametrize("origin", ["prefetch", "fetch"])
def test_p06_if_nothing_of_this_patient_remains_the_source_has_failed(origin):
    foreign = condition(subject={"reference": "Patient/p2"})
    record = read(payload("conditions", bundle(foreign), origin=origin))

    assert (record.state("conditions"), record.conditions) == (FAILED, ())


def test_the_urn_of_the_patients_own_entry_means_this_patient():
    urn = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    own = entry(PATIENT, full_url=urn, mode="include")
    source, entries = conditions_of(bundle(own, condition(subject={"reference": urn})))

    assert (source.state, len(entries)) == (COMPLETE, 1)


def test_an_appointment_is_the_patients_when_the_patient_takes_part():
    def appointment(number, *actors):
        people = [{"actor": {"reference": actor}} for actor in actors]
        return resource("Appointment", number, subject=None, start="2026-12-01T10:00:00+01:00", participant=people)

    mine = appointment("a1", "Practitioner/d1", "Patient/p1")
    other = appointment("a2", "Practitioner/d1", "Patient/p2")
    nobody = appointment("a3", "Practitioner/d1")
    record = read(payload("appointments", bundle(mine, other, nobody)))

    assert [visit.reference for visit in record.visits] == ["Appointment/a1", "Appointment/a3"]
    assert record.state("appointments") is INCOMPLETE


def test_p06_another_patient_in_prefetch_is_a_bad_request_and_a_fetched_one_is_not_available():
    other = PATIENT | {"id": "p2"}

    with pytest.raises(BadRequest):
        read(payload("patient", other))
    with pytest.raises(DataNotAvailable):
        read(payload("patient", other, origin="fetch"))


def test_p06_messages_hold_no_id():
    with pytest.raises(BadRequest) as refusal:
        read(payload("patient", PATIENT | {"id": "canary-7"}))

    assert "canary" not in str(refusal.value)


@pytest.mark.parametrize("page", [b"null", observation(), bundle(), bundle(observation())])
def test_p06_null_or_another_type_is_not_had(page):
    record = read(payload("patient", page))

    assert (record.birth_date, record.gender, record.state("patient")) == (None, None, FAILED)
    assert record.sources["patient"].cause in ("no-patient", "wrong-resource-type")


def test_a_patient_without_id_is_nobody():
    assert read(payload("patient", {"resourceType": "Patient", "birthDate": "1970-05-10"})).birth_date is None


@pytest.mark.parametrize("origin", ["prefetch", "fetch"])
@pytest.mark.parametrize("kind", ["replaces", "replaced-by"])
def test_p06_a_merged_patient_is_the_same_patient(origin, kind):
    merged = PATIENT | {"id": "p2", "link": [{"other": {"reference": "Patient/p1"}, "type": kind}]}
    both = bundle(condition("c1"), condition("c2", subject={"reference": "Patient/p2"}))
    record = read(payload("patient", merged, origin=origin), payload("conditions", both))

    assert record.birth_date.text == "1970-05-10"
    assert (len(record.conditions), record.state("conditions")) == (2, COMPLETE)


def test_p06_a_link_that_is_no_merge_is_another_patient():
    sibling = PATIENT | {"id": "p2", "link": [{"other": {"reference": "Patient/p1"}, "type": "seealso"}]}

    with pytest.raises(BadRequest):
        read(payload("patient", sibling))


def test_p06_aliases_from_a_redirect_are_the_same_patient():
    renamed = PATIENT | {"id": "p9"}
    record = read(
        payload("patient", renamed, origin="fetch"),
        payload("conditions", bundle(condition(subject={"reference": "Patient/p9"}))),
        aliases=frozenset({"p9"}),
    )

    assert (record.patient_id, record.gender, len(record.conditions)) == ("p1", "female", 1)


def test_the_patient_may_come_as_a_searchset():
    assert read(payload("patient", bundle(PATIENT))).gender == "female"


@pytest.mark.parametrize("fields", [{"deceasedBoolean": True}, {"deceasedDateTime": "2026-01-01"}])
def test_the_dead_are_known(fields):
    assert read(patient=PATIENT | fields).deceased
    assert not read(patient=PATIENT | {"deceasedBoolean": False}).deceased


def test_a_birth_date_that_cannot_be_is_unknown_and_named():
    for written, reason in (("10.05.1970", "date-not-readable"), ("2031-01-01", "dated-in-the-future")):
        record = read(patient=PATIENT | {"birthDate": written})

        assert record.birth_date is None
        assert record.sources["patient"].set_aside == (SetAside("Patient/p1", reason),)


# --- names of resources -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource_id", "full_url", "reference"),
    [
        ("c1", "https://ehr.example/fhir/Condition/c1", "Condition/c1"),
        (None, "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"),
        (None, "https://ehr.example/fhir/Condition/c9/_history/2", "Condition/c9"),
        (None, None, "Condition"),
        ("x" * 255, None, "Condition/" + "x" * 255),
        ("x" * 256, None, "Condition"),
        ("a/b?c=d", None, "Condition"),
    ],
)
def test_p12_a_resource_is_named_by_type_and_id_or_by_its_fullurl_and_never_by_a_url(resource_id, full_url, reference):
    _, entries = conditions_of(bundle(entry(condition(resource_id), full_url=full_url)))

    assert entries[0].reference == reference


def test_resources_that_nothing_identifies_all_count():
    assert len(conditions_of(bundle(condition(None), condition(None)))[1]) == 2


def test_displays_are_cut_at_120_characters():
    _, entries = conditions_of(bundle(condition(code=concept(MUSCLE_WEAKNESS | {"display": "x" * 10_000}))))

    assert entries[0].display == "x" * 120


# --- a whole chart ------------------------------------------------------------------------------------------------


def test_a_whole_chart_becomes_one_payload_for_each_source():
    urn = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    items = [
        PATIENT,
        entry(condition(None, subject={"reference": "Patient/p1"}), full_url=urn, mode=None),
        observation(),
        {"resourceType": "Claim", "id": "x"},
    ]
    payloads = payloads_from_resources([json.dumps(item).encode() for item in items])
    record = read_record(payloads, "p1", vocabulary=VOCABULARY, as_of=AS_OF)

    assert [found.reference for found in record.conditions] == [urn]
    assert len(record.observations) == 1
    assert len(record.sources) == 14
    assert {source.state for source in record.sources.values()} == {COMPLETE}


def test_a_chart_that_is_known_to_be_partial_says_so():
    (conditions,) = [
        given for given in payloads_from_resources([], absent=SourceState.NOT_OFFERED) if given.name == "conditions"
    ]

    assert conditions.state is SourceState.NOT_OFFERED
