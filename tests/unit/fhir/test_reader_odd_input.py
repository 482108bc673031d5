"""T15, T22, P-13: no bytes make the reader fail in another way than ours, and bad bytes cost only their own source."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_service.errors import RequestRefused
from cds_service.fhir.reader import RESOURCES, SourcePayload, read_record
from cds_service.record import SourceState
from tests.unit.fhir.samples import (
    AS_OF,
    MUSCLE_WEAKNESS,
    VOCABULARY,
    bundle,
    concept,
    condition,
    observation,
    payload,
    read,
)

FAILED, COMPLETE = SourceState.FAILED, SourceState.COMPLETE
DEEP = b"[" * 100_000 + b"]" * 100_000


def state_of(page):
    """The state of conditions with this page, beside a good observation that must survive."""
    record = read(payload("conditions", page), payload("observations", bundle(observation())))
    assert (len(record.observations), record.state("observations")) == (1, COMPLETE)
    return record.sources["conditions"], record.conditions


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"x",
        b"[]",
        b"7",
        b'"text"',
        b"true",
        b"{}",
        b'{"resourceType":null}',
        b'{"resourceType":"Bundle","entry":{}}',
        b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Condition"',
        b'{"resourceType":"Bundle"} trailing',
        b'{"resourceType":"Bundle","entry":[NaN]}',
        b'{"resourceType":"Bundle","entry":' + DEEP + b"}",
        b'{"resourceType":"Condition","note":' + DEEP + b"}",
        DEEP,
        b'{"resourceType":"Condition","id":"lone surrogate \\ud800"}',
        b"<html>503</html>",
    ],
    ids=lambda page: page[:24].decode(),
)
def test_p13_a_value_that_is_no_fhir_fails_its_own_source(page):
    source, entries = state_of(page)

    assert (source.state, entries) == (FAILED, ())


def around(broken: bytes) -> bytes:
    """A Bundle with one broken entry before a good one."""
    good = json.dumps({"resource": condition("good")}).encode()
    return b'{"resourceType":"Bundle","entry":[' + broken + b"," + good + b"]}"


@pytest.mark.parametrize(
    "broken",
    [
        b'{"resource":{"resourceType":"Condition","id":"\xff\xfe"}}',
        b'{"resource":{"resourceType":"Condition","code":{"text":"\xff"}}}',
        b'{"resource":{"resourceType":"Condition","id":7}}',
        b'{"resource":{"resourceType":"Condition","code":"M62.81"}}',
        b'{"resource":{"resourceType":"Condition","code":{"coding":[null]}}}',
        b'{"resource":{"id":"x"}}',
        b'{"resource":[]}',
        b'"entry"',
        b"[]",
    ],
)
def test_one_bad_entry_costs_only_itself(broken):
    source, entries = state_of(around(broken))

    assert [entry.reference for entry in entries] == ["Condition/good"]
    assert (source.state, [aside.reason for aside in source.set_aside]) == (SourceState.INCOMPLETE, ["not-readable"])


@pytest.mark.parametrize(
    "harmless",
    [
        b"null",
        b'{"resource":{"resourceType":"Practitioner","id":7}}',
        b'{"resource":{"resourceType":"Parameters"}}',
        b'{"response":{"status":"404"}}',
    ],
)
def test_entries_that_are_not_ours_are_passed_over(harmless):
    source, entries = state_of(around(harmless))

    assert (source.state, source.set_aside, len(entries)) == (COMPLETE, (), 1)


def test_p13_of_duplicate_keys_the_last_wins():
    page = (
        b'{"resourceType":"Condition","id":"first","id":"last","code":' + json.dumps(concept(MUSCLE_WEAKNESS)).encode()
    )

    assert state_of(page + b"}")[1][0].reference == "Condition/last"


def test_bad_utf8_in_a_part_that_nobody_reads_does_no_harm():
    page = json.dumps(condition()).encode()[:-1] + b',"note":[{"text":"\xff"}]}'

    assert len(state_of(page)[1]) == 1


def test_unknown_fields_extensions_and_non_ascii_text_do_no_harm():
    odd = condition(
        "ünïcode", code=concept(MUSCLE_WEAKNESS | {"display": "肌肉无力 🦵"}), _onsetDateTime={"extension": []}, zz=[1]
    )
    _, entries = state_of(bundle(odd))

    assert (entries[0].reference, entries[0].display) == ("Condition", "肌肉无力 🦵")


def test_a_million_keys_are_skipped():
    page = b'{"resourceType":"Bundle",' + b",".join(b'"k%d":1' % n for n in range(200_000)) + b"}"

    assert state_of(page)[0].state is COMPLETE


NAMES = list(RESOURCES)
KEYS = [
    "resourceType", "id", "entry", "resource", "fullUrl", "search", "mode", "subject", "patient", "reference", "code",
    "coding", "system", "text", "display", "status", "clinicalStatus", "onsetDateTime", "onsetAge", "value", "unit",
    "valueQuantity", "effectiveDateTime", "effectivePeriod", "start", "end", "component", "referenceRange", "low",
    "medicationCodeableConcept", "medicationReference", "contained", "dosage", "dosageInstruction", "timing", "repeat",
    "period", "frequency", "doseAndRate", "doseQuantity", "ingredient", "strength", "numerator", "issue", "severity",
    "link", "other", "type", "birthDate", "participant", "actor", "activity", "detail", "category", "title", "class",
]  # fmt: skip
TYPES = [kind.__name__ for kind in RESOURCES.values()] + ["Bundle", "Medication", "OperationOutcome", "Practitioner"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(
        [
            *TYPES,
            "p1",
            "Patient/p1",
            "#x",
            "final",
            "active",
            "26544005",
            "2157-6",
            "8640",
            "prednisone",
            "a",
            "d",
            "mg",
            "http://snomed.info/sct",
            "http://loinc.org",
            "2026",
            "2026-11-20",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31",
        ]
    )
    | st.text(max_size=12)
)
KEYED = st.sampled_from(KEYS) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYED, inner, max_size=6), max_leaves=30
)
CODES = st.sampled_from([concept(MUSCLE_WEAKNESS), {"coding": [{"system": "http://loinc.org", "code": "2157-6"}]}])
RESOURCE = st.builds(
    lambda kind, code, rest: {"resourceType": kind, "code": code} | rest,
    st.sampled_from(TYPES),
    CODES,
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6),
)
PAGES = (
    VALUES
    | RESOURCE
    | st.lists(RESOURCE | VALUES, max_size=4).map(
        lambda items: {"resourceType": "Bundle", "entry": [{"resource": item} for item in items]}
    )
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(NAMES), PAGES), min_size=1, max_size=4))
def test_t22_any_json_in_any_source_raises_nothing_but_our_refusals(sources):
    payloads = [payload(name, json.dumps(page).encode()) for name, page in sources]
    try:
        record = read_record(payloads, "p1", vocabulary=VOCABULARY, as_of=AS_OF)
    except RequestRefused:
        return
    assert set(record.sources) == {name for name, _ in sources}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(NAMES), st.binary(max_size=200))
def test_t15_any_bytes_in_any_source_fail_that_source_alone(name, page):
    try:
        record = read_record(
            [SourcePayload(name, "prefetch", COMPLETE, (page,))], "p1", vocabulary=VOCABULARY, as_of=AS_OF
        )
    except RequestRefused:
        return
    assert name in record.sources


GOOD = json.dumps(bundle(condition(), observation())).encode()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=3))
def test_t15_a_damaged_page_never_raises(place, damage):
    page = GOOD[:place] + damage + GOOD[place + len(damage) :]

    assert read(payload("conditions", page)).state("conditions") in (COMPLETE, SourceState.INCOMPLETE, FAILED)
