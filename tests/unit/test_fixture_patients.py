"""The synthetic patients: valid and loadable anywhere, moved to today without a scratch, answered as they say."""

from __future__ import annotations

import json
import re
import tomllib
import uuid
import warnings
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given
from hypothesis import strategies as st

from cds_service.cards.compose import CardContext, compose
from cds_service.cards.knowledge import CardDeck, load_deck
from cds_service.cards.memory import NO_MEMORY
from cds_service.fhir.reader import payloads_from_resources, read_record
from cds_service.fixture_patients import (
    FixturePatient,
    hook_request_for,
    load_fixture_patients,
    load_hook_requests,
    shift_dates,
)
from cds_service.record import SourceState
from cds_service.rule_engine.evaluate import evaluate
from cds_service.rule_engine.facts import gather_facts
from cds_service.rule_engine.loader import Knowledge, load_knowledge
from cds_service.rule_engine.model import Evaluation, Status
from tests.rules.tables import ICD, RULES, code_rows, read

with warnings.catch_warnings():  # the package reads its own data through deprecated functions
    warnings.filterwarnings("ignore", message="(read|open)_text is deprecated", category=DeprecationWarning)
    import simple_icd_10_cm as icd

FOLDER = Path(__file__).parents[2] / "fixtures"
EXPECTED = tomllib.loads((FOLDER / "expected.toml").read_text(encoding="utf-8"))
ANCHOR: date = EXPECTED["anchor"]
AS_WRITTEN = load_fixture_patients(FOLDER, ANCHOR)
HOOK_REQUESTS = load_hook_requests(FOLDER, ANCHOR)
ALL_RULES = {path.parent.name for path in (Path(__file__).parents[2] / "rules").glob("*/rule.toml")}
# The rules that the patients were written for: each has one that fires it, one that silences it and a near-miss.
SIX_RULES = {
    "rapidly-progressive-weakness",
    "neurogenic-pattern",
    "unexplained-weakness-wasting",
    "steroid-myopathy",
    "high-steroid-exposure",
    "sarcopenia-frailty",
}
CLINICAL_SYSTEMS = {
    "http://snomed.info/sct",
    "http://loinc.org",
    "http://www.nlm.nih.gov/research/umls/rxnorm",
    "urn:atrophy-cds:measures",
}
DATE = re.compile(r"\d{4}(-\d{2}(-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?)?)?")
Leaf = tuple[tuple[str | int, ...], Any]

each_patient = pytest.mark.parametrize("patient", AS_WRITTEN, ids=lambda patient: patient.id)


def resources(patient: FixturePatient) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in patient.bundle["entry"]]


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[Leaf]:
    """Every scalar of a JSON value with its place."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None:
        yield path, value
        return
    for name, one in inner:
        yield from leaves(one, (*path, name))


def element(path: tuple[str | int, ...]) -> str:
    """The name of the FHIR element that a leaf belongs to."""
    return next(part for part in reversed(path) if isinstance(part, str))


def is_moved(path: tuple[str | int, ...], value: Any) -> bool:
    """A date other than birthDate, known by its look and not by the list in the code; RxNorm codes look like years."""
    return isinstance(value, str) and DATE.fullmatch(value) is not None and element(path) not in ("birthDate", "code")


def codings(value: Any) -> Iterator[dict[str, str]]:
    if isinstance(value, dict):
        if {"system", "code", "display"} <= value.keys():
            yield value
        for one in value.values():
            yield from codings(one)
    elif isinstance(value, list):
        for one in value:
            yield from codings(one)


# --- the Bundles ------------------------------------------------------------------------------------------------------


@each_patient
def test_the_bundle_and_every_resource_are_valid_r4(patient: FixturePatient) -> None:
    get_fhir_model_class("Bundle").model_validate(patient.bundle)
    for resource in resources(patient):
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)


@each_patient
def test_every_entry_is_a_put_to_its_own_id(patient: FixturePatient) -> None:
    assert patient.bundle["type"] == "transaction"
    for entry in patient.bundle["entry"]:
        reference = f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        assert entry["request"] == {"method": "PUT", "url": reference}
        assert entry["fullUrl"] == f"https://ehr.example.org/fhir/{reference}"


@each_patient
def test_references_resolve_inside_the_bundle(patient: FixturePatient) -> None:
    here = {f"{resource['resourceType']}/{resource['id']}" for resource in resources(patient)}
    referred = {value for path, value in leaves(patient.bundle) if element(path) == "reference"}
    assert referred
    assert referred - here == set()


def test_ids_are_unique_across_all_patients_and_start_with_a_letter() -> None:
    ids = Counter(resource["id"] for patient in AS_WRITTEN for resource in resources(patient))
    assert {name: count for name, count in ids.items() if count > 1} == {}
    assert [name for name in ids if not re.fullmatch(r"[a-z][A-Za-z0-9.-]{0,63}", name)] == []


@each_patient
def test_everybody_is_visibly_synthetic(patient: FixturePatient) -> None:
    for resource in resources(patient):
        assert [tag["code"] for tag in resource["meta"]["tag"]] == ["HTEST"]
    (person,) = (resource for resource in resources(patient) if resource["resourceType"] == "Patient")
    assert person["id"] == patient.id
    assert person["name"][0]["family"] == "Testpatient"
    assert all(one["value"].startswith("555-01") for one in person["telecom"])


@each_patient
def test_charts_are_realistic_not_bare_minimums(patient: FixturePatient) -> None:
    kinds = Counter(resource["resourceType"] for resource in resources(patient))
    assert kinds["Encounter"] >= 2
    assert kinds["Condition"] >= 1
    assert kinds["MedicationRequest"] + kinds["MedicationStatement"] >= 1
    assert kinds["Observation"] >= 6


def test_every_code_and_display_stands_in_the_tables_of_rules_or_in_icd_10_cm() -> None:
    verified = {(row["system"], row["code"]): row["display"] for _, row in code_rows(RULES)}
    verified |= {(row["system"], row["code"]): row["display"] for row in read(RULES / "steroid_products.csv")}
    for coding in codings([[patient.bundle for patient in AS_WRITTEN], HOOK_REQUESTS]):
        system, code = coding["system"], coding["code"]
        if system == ICD:
            assert (code, coding["display"]) == (code, icd.get_description(code))
        elif system in CLINICAL_SYSTEMS:
            assert (code, coding["display"]) == (code, verified.get((system, code)))


# --- moving to today --------------------------------------------------------------------------------------------------


@each_patient
def test_shifting_moves_every_full_date_by_exactly_the_days_and_touches_nothing_else(patient: FixturePatient) -> None:
    days = 400
    before, after = dict(leaves(patient.bundle)), dict(leaves(shift_dates(patient.bundle, days)))
    assert list(before) == list(after)
    for path, value in before.items():
        if not is_moved(path, value):
            assert after[path] == value, path
        elif len(value) >= len("2026-11-02"):
            moved = (date.fromisoformat(value[:10]) + timedelta(days=days)).isoformat()
            assert after[path] == moved + value[10:], path
        else:
            assert len(after[path]) == len(value), path
            assert after[path] > value, path


@each_patient
def test_a_birth_date_does_not_move(patient: FixturePatient) -> None:
    (person,) = (r for r in shift_dates(patient.bundle, 1000)["entry"] if r["resource"]["resourceType"] == "Patient")
    assert person["resource"]["birthDate"] == resources(patient)[0]["birthDate"]


@pytest.mark.parametrize(
    ("written", "days", "moved"),
    [
        ("2026-02-27", 2, "2026-03-01"),
        ("2028-02-28", 1, "2028-02-29"),
        ("2026-10-25T01:30:00+02:00", 1, "2026-10-26T01:30:00+02:00"),
        ("2026-12-31T23:59:59.123456Z", 1, "2027-01-01T23:59:59.123456Z"),
        ("2024-11", 10, "2024-11"),
        ("2024-11", 30, "2024-12"),
        ("2024-12", -365, "2023-12"),
        ("2009", 25, "2009"),
        ("2009", 365, "2010"),
    ],
)
def test_shift_keeps_precision_time_and_offset(written: str, days: int, moved: str) -> None:
    assert shift_dates({"onsetDateTime": written}, days) == {"onsetDateTime": moved}


def test_shift_knows_dates_by_their_element_not_by_their_look() -> None:
    written = {"valueString": "2026-11-02", "text": "since 2026-11-02", "birthDate": "1968-05-14", "id": "2026"}
    assert shift_dates(written, 30) == written
    assert shift_dates({"event": ["2026-11-02", "2026-11-03"]}, 1) == {"event": ["2026-11-03", "2026-11-04"]}


def test_shift_refuses_what_is_no_fhir_date() -> None:
    with pytest.raises(ValueError, match="not a FHIR date"):
        shift_dates({"recordedDate": "last week"}, 1)


@given(st.dates(date(1950, 1, 1), date(2100, 1, 1)), st.integers(-10_000, 10_000))
def test_a_shift_there_and_back_gives_the_day_again(day: date, days: int) -> None:
    written = {"effectivePeriod": {"start": day.isoformat()}}
    assert shift_dates(shift_dates(written, days), -days) == written


def test_loading_leaves_the_files_dates_alone_on_the_anchor_day_and_moves_them_on_others() -> None:
    (ada,) = (p for p in load_fixture_patients(FOLDER, ANCHOR + timedelta(days=25)) if p.id.startswith("ada-"))
    written = json.loads((FOLDER / "patients" / f"{ada.id}.json").read_bytes())
    assert AS_WRITTEN[0].bundle == written
    assert ada.bundle == shift_dates(written, 25)


# --- what they say must come out --------------------------------------------------------------------------------------


def test_expected_toml_names_existing_patients_and_only_rules_that_are_built() -> None:
    assert {path.stem for path in (FOLDER / "patients").glob("*.json")} == {patient.id for patient in AS_WRITTEN}
    for patient in AS_WRITTEN:
        named = {*patient.fired, *patient.held_back, *patient.suppressed, *patient.near_misses}
        assert named <= ALL_RULES, patient.id
        assert set(patient.fired).isdisjoint({*patient.suppressed, *patient.near_misses}), patient.id
        shown = [rule for card in patient.expected_cards for rule in card.rules]
        assert sorted([*shown, *patient.held_back]) == sorted(patient.fired), patient.id


def test_every_rule_has_a_patient_that_fires_it_one_that_silences_it_and_a_near_miss() -> None:
    alive = [patient for patient in AS_WRITTEN if "deceasedDateTime" not in resources(patient)[0]]
    assert {rule for patient in AS_WRITTEN for rule in patient.fired} >= SIX_RULES
    assert {rule for patient in alive for rule in patient.suppressed} == SIX_RULES
    assert {rule for patient in AS_WRITTEN for rule in patient.near_misses} == SIX_RULES


def test_a_critical_card_stands_alone_and_there_are_never_more_than_three() -> None:
    """C1, C2, B-25."""
    for patient in AS_WRITTEN:
        indicators = [card.indicator for card in patient.expected_cards]
        assert len(indicators) <= 3
        assert "critical" not in indicators or len(indicators) == 1


def test_the_readme_table_and_anchor_day_are_those_of_expected_toml() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"**{ANCHOR.isoformat()}**" in readme
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in readme.splitlines() if " | " in line]
    table = {row[0]: row[1:] for row in rows if len(row) == 6 and row[0] != "id"}
    assert table == {patient.id: readme_row(patient) for patient in AS_WRITTEN}


def readme_row(patient: FixturePatient) -> list[str]:
    person = resources(patient)[0]
    born = date.fromisoformat(person["birthDate"])
    age = ANCHOR.year - born.year - ((ANCHOR.month, ANCHOR.day) < (born.month, born.day))
    cards = "; ".join(f"{card.indicator}: {' + '.join(card.rules)}" for card in patient.expected_cards) or "none"
    silent = ", ".join([*patient.suppressed, *patient.near_misses])
    who = f"{person['name'][0]['given'][0]}, {age} {'F' if person['gender'] == 'female' else 'M'}"
    return [who, patient.story, cards, silent, patient.why]


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load_knowledge(RULES, ANCHOR)


@pytest.fixture(scope="module")
def deck() -> CardDeck:
    return load_deck(RULES)


def evaluated(patient: FixturePatient, knowledge: Knowledge, as_of: datetime) -> Evaluation:
    raw = [msgspec.json.encode(resource) for resource in resources(patient)]
    record = read_record(payloads_from_resources(raw), patient.id, vocabulary=knowledge.vocabulary, as_of=as_of)
    assert {source.state for source in record.sources.values()} <= {SourceState.COMPLETE, SourceState.NOT_NEEDED}
    return evaluate(knowledge.rules, gather_facts(record, knowledge, as_of))


@pytest.mark.parametrize("days", [0, 25, 900])
def test_every_patient_gets_the_cards_that_expected_toml_names(days: int, knowledge: Knowledge, deck: CardDeck) -> None:
    """On the anchor day and on later days, at different hours: nobody stands so near a limit that the hour decides."""
    today = ANCHOR + timedelta(days=days)
    as_of = datetime(today.year, today.month, today.day, days % 24, tzinfo=UTC)
    for patient in load_fixture_patients(FOLDER, today):
        evaluation = evaluated(patient, knowledge, as_of)
        assert {a.rule.id: a.indicator for a in evaluation.fired} == patient.fired, patient.id
        suppressed = {a.rule.id for a in evaluation.assessments if a.status is Status.SUPPRESSED}
        assert suppressed & SIX_RULES == set(patient.suppressed), patient.id
        composed = compose(evaluation, deck, NO_MEMORY, CardContext(patient_id=patient.id))
        shown = [
            (
                card.indicator,
                tuple(rule["id"] for rule in (card.extension or {})["org.atrophy-cds.assessment"]["rules"]),
            )
            for card in composed.cards
        ]
        assert shown == [(card.indicator, card.rules) for card in patient.expected_cards], patient.id


# --- hook requests ----------------------------------------------------------------------------------------------------


@each_patient
def test_a_hook_request_with_prefetch_holds_every_resource_of_the_chart_once(patient: FixturePatient) -> None:
    prefetch = hook_request_for(patient)["prefetch"]
    sent = [prefetch["patient"]]
    for value in prefetch.values():
        if value is not None and value["resourceType"] == "Bundle":
            get_fhir_model_class("Bundle").model_validate(value)
            assert value["total"] == sum(entry["search"]["mode"] == "match" for entry in value["entry"])
            sent += [entry["resource"] for entry in value["entry"]]
    in_order = sorted(sent, key=lambda resource: str(resource["id"]))
    assert in_order == sorted(resources(patient), key=lambda resource: str(resource["id"]))


def test_a_key_without_data_is_null_not_absent() -> None:
    """C34: searched, and there is none."""
    prefetch = hook_request_for(AS_WRITTEN[0])["prefetch"]
    assert len(prefetch) == 14
    assert prefetch["familyHistory"] is None


def test_a_hook_request_without_prefetch_names_the_patient_and_the_server_only() -> None:
    request = hook_request_for(AS_WRITTEN[0], with_prefetch=False, fhir_server="https://ehr.example.org/fhir")
    assert uuid.UUID(request.pop("hookInstance"))
    assert request == {
        "hook": "patient-view",
        "context": {"userId": "Practitioner/test-clinician", "patientId": AS_WRITTEN[0].id},
        "fhirServer": "https://ehr.example.org/fhir",
    }


def test_each_hook_request_has_an_instance_of_its_own() -> None:
    assert hook_request_for(AS_WRITTEN[0])["hookInstance"] != hook_request_for(AS_WRITTEN[0])["hookInstance"]


@pytest.mark.parametrize("name", sorted(HOOK_REQUESTS))
def test_hook_request_files_follow_the_specification(name: str) -> None:
    """C22, C23, C25, C27."""
    request = HOOK_REQUESTS[name]
    assert request["hook"] == "patient-view"
    assert uuid.UUID(request["hookInstance"])
    assert re.fullmatch(r"(Practitioner|PractitionerRole)/[A-Za-z0-9.-]+", request["context"]["userId"])
    assert request["context"]["patientId"]
    if "fhirAuthorization" in request:
        assert request["fhirServer"].startswith("https://")
        assert request["fhirAuthorization"]["token_type"] == "Bearer"
        assert request["fhirAuthorization"]["access_token"].startswith("made-up-token")


def test_full_prefetch_file_is_what_the_function_makes() -> None:
    (dora,) = (patient for patient in AS_WRITTEN if patient.id == "dora-one-course-three-records")
    written, made = dict(HOOK_REQUESTS["full-prefetch"]), hook_request_for(dora)
    del written["hookInstance"], made["hookInstance"]
    assert written == made


def test_partial_prefetch_file_is_rosas_chart_with_keys_left_out() -> None:
    """C31, C34, C35."""
    request = HOOK_REQUESTS["partial-prefetch"]
    (rosa,) = (patient for patient in AS_WRITTEN if patient.id == request["context"]["patientId"])
    whole = hook_request_for(rosa)["prefetch"]
    assert {key: request["prefetch"][key] for key in ("patient", "conditions")} == {
        key: whole[key] for key in ("patient", "conditions")
    }
    assert request["prefetch"]["familyHistory"] is None
    assert request["prefetch"]["observations"]["total"] == 0


def test_epic_file_has_epics_shape() -> None:
    """P-12, P-14, C61: what the samples of that EHR do differently."""
    request = HOOK_REQUESTS["epic-open-chart"]
    assert uuid.UUID(request["hookInstance"]).version == 1
    assert request["extension"]["com.epic.cdshooks.request.bpa-trigger-action"] == "60"
    assert len(request["context"]["patientId"]) > 64
    assert "medicationStatements" not in request["prefetch"]
    prednisone = request["prefetch"]["medicationRequests"]["entry"][0]["resource"]
    assert prednisone["medicationReference"]["reference"].startswith("https://")
    assert isinstance(prednisone["category"], dict)
    (dosage,) = prednisone["dosageInstruction"]
    assert dosage["doseQuantity"]["value"] == 20
    assert dosage["timing"]["repeat"]["boundsPeriod"].keys() == {"start"}


def test_hook_request_files_are_moved_to_today_too() -> None:
    later = load_hook_requests(FOLDER, ANCHOR + timedelta(days=25))["epic-open-chart"]
    assert later == shift_dates(HOOK_REQUESTS["epic-open-chart"], 25)
    assert later["prefetch"]["conditions"]["entry"][0]["resource"]["onsetDateTime"] == "2026-09-28"
