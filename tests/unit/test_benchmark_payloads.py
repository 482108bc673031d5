"""The charts that the benchmark sends: the promised sizes, valid FHIR, and a patient whose chart makes R11 speak."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.patient import Patient

from benchmarks.chart import PATIENT_ID
from benchmarks.payload import for_patient, hook_request
from cds_service.cds_hooks.request import parse_hook_request
from cds_service.fhir.reader import SourcePayload, read_record
from cds_service.record import SourceName, SourceState
from cds_service.rule_engine.evaluate import evaluate
from cds_service.rule_engine.facts import gather_facts
from cds_service.rule_engine.loader import Knowledge, load_knowledge
from cds_service.rule_engine.model import Evaluation

RULES = Path(__file__).parents[2] / "rules"
TODAY = date(2026, 11, 27)
NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
# The codes of FHIR itself, of US Core and of the made-up site; every other system is a terminology of rules/.
NOT_CLINICAL = ("http://terminology.hl7.org/", "urn:ietf:bcp:47", "https://fhir.example.org/")


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load_knowledge(RULES, TODAY)


def decoded(size: int, today: date = TODAY) -> Any:
    return msgspec.json.decode(hook_request(RULES, size, today))


def resources(size: int) -> list[dict[str, Any]]:
    prefetch = decoded(size)["prefetch"].values()
    found = []
    for value in filter(None, prefetch):
        found += [entry["resource"] for entry in value["entry"]] if "entry" in value else [value]
    return found


def evaluated(size: int, knowledge: Knowledge, today: date = TODAY) -> Evaluation:
    request = parse_hook_request(hook_request(RULES, size, today))
    assert request.prefetch is not None
    payloads = [
        SourcePayload(key, "prefetch", SourceState.COMPLETE, (value,))  # type: ignore[arg-type]  # a key of ours
        for key, value in request.prefetch.present()
    ]
    now = NOW.replace(year=today.year, month=today.month, day=today.day)
    record = read_record(payloads, request.patient_id, vocabulary=knowledge.vocabulary, as_of=now)
    assert not any(source.set_aside for source in record.sources.values())
    return evaluate(knowledge.rules, gather_facts(record, knowledge, now))


def test_a_size_is_a_number_of_resources() -> None:
    assert [len(resources(size)) for size in (10, 100, 1000)] == [10, 100, 1000]


def test_a_third_are_conditions_and_each_kind_is_there() -> None:
    counts = {key: len(value["entry"]) for key, value in decoded(100)["prefetch"].items() if value and "entry" in value}
    assert counts == {"conditions": 33, "medicationStatements": 17, "medicationRequests": 17, "observations": 32}


@pytest.mark.parametrize("size", [10, 100, 1000])
def test_a_resource_takes_about_1_43_kb_of_compact_json(size: int) -> None:
    """So that ratios can be compared with the floors that were measured before."""
    assert len(hook_request(RULES, size, TODAY)) / size == pytest.approx(1430, rel=0.06)


def test_every_prefetch_key_is_sent_so_that_nothing_is_fetched() -> None:
    """C31, C34: null says that the client searched and found nothing; an absent key would be fetched."""
    prefetch = decoded(10)["prefetch"]
    assert set(prefetch) == set(get_args(SourceName))
    assert [key for key, value in prefetch.items() if value is None] == [
        "familyHistory",
        "medicationDispenses",
        "medicationAdministrations",
        "procedures",
        "reports",
        "orders",
        "encounters",
        "appointments",
        "carePlans",
    ]


@pytest.mark.parametrize("size", [10, 100])
def test_the_chart_is_valid_fhir_r4(size: int) -> None:
    prefetch = decoded(size)["prefetch"]
    Patient.model_validate(prefetch.pop("patient"))
    for value in filter(None, prefetch.values()):
        assert len(Bundle.model_validate(value).entry) == len(value["entry"])


def test_the_same_day_gives_the_same_bytes_and_the_seed_changes_them() -> None:
    assert hook_request(RULES, 100, TODAY) == hook_request(RULES, 100, TODAY)
    assert hook_request(RULES, 100, TODAY) != hook_request(RULES, 100, TODAY, seed=1)


def test_every_resource_is_of_the_patient_of_the_call() -> None:
    subjects = {resource["subject"]["reference"] for resource in resources(100) if "subject" in resource}
    assert subjects == {f"Patient/{PATIENT_ID}"}
    assert decoded(100)["context"]["patientId"] == PATIENT_ID


def test_the_same_chart_can_be_anothers() -> None:
    """A patient seen thousands of times would measure the store's memory of earlier calls."""
    body = hook_request(RULES, 10, TODAY)
    other = for_patient(body, 7)
    assert len(other) == len(body)
    assert PATIENT_ID.encode() not in other
    assert parse_hook_request(other).patient_id == "benchmark-0000007"


def test_clinical_codes_come_from_the_tables_of_rules() -> None:
    known = {(row["system"], row["code"]) for path in RULES.rglob("*.csv") for row in rows(path) if "code" in row}
    used = {coding for resource in resources(1000) for coding in codings(resource)}
    assert len(used) > 20
    assert used - known == set()


@pytest.mark.parametrize("size", [10, 100, 1000])
def test_the_chart_makes_r11_speak(size: int, knowledge: Knowledge) -> None:
    """Weakness that began during moderate prednisone exposure (GC2): the card that this service is for."""
    evaluation = evaluated(size, knowledge)
    fired = {assessment.rule.number: assessment.indicator for assessment in evaluation.fired}
    assert fired["R11"] == "warning"
    assert evaluation.facts.exposure.level == 2


@pytest.mark.parametrize("today", [date(2028, 2, 29), date(2027, 1, 1)])
def test_the_chart_moves_with_the_day(today: date, knowledge: Knowledge) -> None:
    assert "R11" in {assessment.rule.number for assessment in evaluated(100, knowledge, today).fired}


def test_most_of_the_chart_means_something_to_the_rules(knowledge: Knowledge) -> None:
    """A heavy chart of its size: of real charts the rules read less (of Synthea's about a third)."""
    record = evaluated(100, knowledge).facts.record
    kept = len(record.conditions) + len(record.medications) + len(record.observations)
    assert kept > 99 / 2


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def codings(value: Any) -> Iterator[tuple[str, str]]:
    """System and code of every clinical Coding in a resource."""
    if isinstance(value, list):
        for part in value:
            yield from codings(part)
    elif isinstance(value, dict):
        if "display" in value and "system" in value and not value["system"].startswith(NOT_CLINICAL):
            yield value["system"], value["code"]
        for part in value.values():
            yield from codings(part)
