"""Patients out of files: Bundles, NDJSON, gzip, hook requests, loose resources (patients' surprises)."""

import gzip
import json
from datetime import date

import pytest

from cds_service.fhir.patient_files import newest_date, read_patient_files
from cds_service.fhir.reader import payloads_from_resources, read_record
from cds_service.record import SetAside
from tests.unit.fhir.samples import (
    AS_OF,
    PATIENT,
    PREDNISONE_20,
    VOCABULARY,
    bundle,
    concept,
    condition,
    entry,
    observation,
    outcome,
    resource,
)

URN = "urn:uuid:61743a71-05b3-455d-802f-c379ffc65b40"
OTHER_URN = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"


def transaction(patient_id=None):
    """A chart as Synthea writes it: urn:uuid references, no ids on the clinical resources."""
    patient = {name: value for name, value in PATIENT.items() if name != "id"} | (
        {"id": patient_id} if patient_id else {}
    )
    weakness = condition(None, subject={"reference": URN})
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"fullUrl": URN, "resource": patient, "request": {"method": "POST", "url": "Patient"}},
            {"fullUrl": OTHER_URN, "resource": weakness},
            {"fullUrl": "urn:uuid:c", "resource": {"resourceType": "Claim", "patient": {"reference": URN}}},
            None,
        ],
    }


@pytest.fixture
def write(tmp_path):
    """Write values to a file: one as JSON, several as lines; gzipped when the name says so."""

    def write_file(name, *values):
        lines = [value if isinstance(value, bytes) else json.dumps(value).encode() for value in values]
        content = b"\n".join(lines)
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write_file


def found_in(*paths):
    """All patients of the files."""
    return list(read_patient_files(paths))


def record_of(found):
    """The patient's record."""
    payloads = payloads_from_resources(found.resources)
    return read_record(payloads, found.patient_id, vocabulary=VOCABULARY, as_of=AS_OF)


@pytest.mark.parametrize("name", ["chart.json", "chart.json.gz", "charts.ndjson", "charts.ndjson.gz", "chart.txt"])
def test_a_chart_in_every_wrapping(write, name):
    (found,) = found_in(write(name, transaction("p1")))

    assert (found.patient_id, found.label, found.unassigned) == ("p1", f"{name}:1", ())
    record = record_of(found)
    assert record.gender == "female"
    assert [condition.reference for condition in record.conditions] == [OTHER_URN]
    assert {source.state.value for source in record.sources.values()} == {"complete"}


def test_gzip_is_known_by_its_content(write):
    path = write("chart.json.gz", transaction("p1"))

    assert len(found_in(path.rename(path.with_name("chart.json")))) == 1


def test_a_patient_without_id_goes_by_the_uuid_of_its_fullurl(write):
    (found,) = found_in(write("chart.json", transaction()))

    assert found.patient_id == URN.removeprefix("urn:uuid:")
    assert len(record_of(found).conditions) == 1


@pytest.mark.parametrize("kind", ["collection", "searchset", "transaction"])
def test_every_kind_of_bundle_is_a_chart(write, kind):
    chart = bundle(PATIENT, condition()) | {"type": kind}

    assert len(record_of(found_in(write("chart.json", chart))[0]).conditions) == 1


def test_lines_may_be_charts_of_different_patients(write):
    second = bundle(PATIENT | {"id": "p2"}, condition(subject={"reference": "Patient/p2"}))

    assert [found.patient_id for found in found_in(write("all.ndjson", transaction("p1"), second))] == ["p1", "p2"]


def test_a_bundle_may_hold_several_patients(write):
    both = bundle(
        PATIENT, PATIENT | {"id": "p2"}, condition("c1"), condition("c2", subject={"reference": "Patient/p2"})
    )
    first, second = found_in(write("both.json", both))

    assert [entry.reference for entry in record_of(first).conditions] == ["Condition/c1"]
    assert [entry.reference for entry in record_of(second).conditions] == ["Condition/c2"]


def test_loose_resources_of_several_files_are_grouped_by_patient(write):
    """A bulk export has one file for each type; references are relative or absolute."""
    people = write("Patient.ndjson", PATIENT, PATIENT | {"id": "p2"})
    absolute = condition("c2", subject={"reference": "https://ehr.example/fhir/Patient/p2"})
    problems = write("Condition.ndjson", condition("c1"), absolute, condition("c3"))
    first, second = found_in(people, problems)

    assert (first.patient_id, len(record_of(first).conditions)) == ("p1", 2)
    assert (second.patient_id, len(record_of(second).conditions)) == ("p2", 1)


def test_a_folder_is_all_its_files(write, tmp_path):
    write("Patient.ndjson", PATIENT)
    write("Condition.ndjson.gz", condition())
    write("notes.md", b"# not ours")
    (found,) = found_in(tmp_path)

    assert len(record_of(found).conditions) == 1


def test_medications_go_to_the_patients_that_refer_to_them(write):
    medication = {"resourceType": "Medication", "id": "m9", "code": concept(PREDNISONE_20)}
    order = resource("MedicationRequest", "r1", intent="order", medicationReference={"reference": "Medication/m9"})
    lines = [medication, PATIENT, order, PATIENT | {"id": "p2"}]
    first, second = found_in(write("loose.ndjson", *lines))

    assert record_of(first).medications[0].product.ingredient == "prednisone"
    assert len(second.resources) == 1


def test_a_whole_hook_request_is_kept_as_it_is(write):
    request = {
        "hook": "patient-view",
        "hookInstance": "x",
        "context": {"patientId": "p1"},
        "prefetch": {"patient": None},
    }
    (found,) = found_in(write("request.json", request))

    assert (found.patient_id, found.resources) == ("p1", ())
    assert json.loads(bytes(found.hook_request)) == request


def test_what_belongs_to_nobody_is_named(write):
    lines = [
        PATIENT,
        PATIENT | {"id": "p2"},
        condition("c1", subject=None),
        condition("c2", subject={"reference": "urn:uuid:unknown"}),
        condition("c3", subject={"identifier": {"value": "canary"}}),
        condition("c4", subject=["odd"]),
        b"{broken",
        b"7",
        outcome("error", "exception"),
        {"resourceType": "Practitioner", "id": "d1"},
    ]
    found = found_in(write("loose.ndjson", *lines))

    assert [patient.patient_id for patient in found] == ["p1", "p2"]
    assert set(found[0].unassigned) == {
        SetAside("Condition/c1", "no-patient"),
        SetAside("Condition/c2", "no-patient"),
        SetAside("Condition/c3", "no-patient"),
        SetAside("loose.ndjson:6", "not-readable"),
        SetAside("loose.ndjson:7", "not-readable"),
        SetAside("loose.ndjson:8", "not-readable"),
    }
    assert found[1].unassigned == ()


def test_a_bad_entry_of_a_chart_costs_only_itself(write):
    chart = bundle(PATIENT, condition(), condition("c2", subject="odd"))
    chart["entry"] += [7, {"resource": None}, {"fullUrl": 7}]
    (found,) = found_in(write("chart.json", chart))

    assert len(record_of(found).conditions) == 1
    assert set(found.unassigned) == {SetAside("chart.json:1", "not-readable")}


def test_a_searchset_without_the_patient_is_loose_resources(write):
    (found,) = found_in(write("Patient.json", PATIENT), write("search.json", bundle(condition(), observation())))

    assert len(found.resources) == 3


def test_a_chart_of_one_patient_owns_what_names_nobody(write):
    (found,) = found_in(write("chart.json", bundle(PATIENT, condition(subject=None))))

    assert len(record_of(found).conditions) == 1


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b broken gzip", b"[]", b"<html>"])
def test_a_file_that_is_no_chart_is_named(write, content):
    (found,) = found_in(write("chart.json", content))

    assert (found.patient_id, found.resources) == (None, ())
    assert found.unassigned == (SetAside("chart.json:1", "not-readable"),)


def test_a_byte_order_mark_does_no_harm(write):
    assert found_in(write("chart.json", b"\xef\xbb\xbf" + json.dumps(transaction("p1")).encode()))[0].patient_id == "p1"


def test_the_newest_date_is_the_newest_thing_that_happened_or_was_recorded():
    items = [
        condition(onsetDateTime="2019-05-01", recordedDate="2021-03-30"),
        observation(effectiveDateTime="2021-03-31T08:00:00-05:00"),
        resource("MedicationStatement", effectivePeriod={"start": "2020-01-01", "end": "2030-01-01"}),
        resource("Appointment", start="2029-01-01T09:00:00Z", created="2029-01-01"),
        resource("Procedure", performedDateTime="2022"),
        resource("Encounter", period={"start": "no date"}),
        {"resourceType": "Claim", "created": "2031-01-01"},
        PATIENT,
    ]
    raw = [json.dumps(item).encode() for item in items]

    assert newest_date(raw) == date(2022, 1, 1)
    assert newest_date([json.dumps(entry(items[1], full_url=URN)).encode(), b"{", b"7"]) == date(2021, 3, 31)
    assert newest_date([]) is None


def test_the_newest_date_is_found_inside_a_bundle():
    page = {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [entry(observation(effectiveDateTime="2019-03-31"))],
    }

    assert newest_date([json.dumps(page).encode()]) == date(2019, 3, 31)


def test_items_that_are_no_resources_are_left_out_of_the_payloads():
    payloads = payloads_from_resources([b"{", b"7", b'{"resourceType":"\xff"}'])

    assert [given.pages for given in payloads] == [()] * 14
