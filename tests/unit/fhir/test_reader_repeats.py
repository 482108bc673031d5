"""What a chart repeats word for word is decoded once; every resource still gets its own answer."""

import msgspec

from cds_service.coding import Vocabulary
from tests.unit.fhir.samples import (
    CREATINE_KINASE,
    MUSCLE_WEAKNESS,
    PREDNISONE_20,
    VOCABULARY,
    bundle,
    concept,
    condition,
    observation,
    payload,
    read,
    resource,
)

REFUTED = {"coding": [{"code": "refuted"}]}
RANGE = [{"low": {"value": 30, "unit": "U/L"}, "high": {"value": 170, "unit": "U/L"}}]


def test_the_same_words_as_another_field_mean_something_else() -> None:
    """``refuted`` is a verificationStatus; as a clinicalStatus FHIR does not know it, and that is noted."""
    record = read(
        payload(
            "conditions",
            bundle(
                condition("c1", verificationStatus=REFUTED),
                condition("c2", clinicalStatus=REFUTED),
                condition("c3", clinicalStatus=REFUTED, verificationStatus=REFUTED),
            ),
        )
    )

    assert [entry.verification_status for entry in record.conditions] == ["refuted", None, "refuted"]
    assert [entry.clinical_status for entry in record.conditions] == [None, "refuted", "refuted"]
    assert [aside.reference for aside in record.sources["conditions"].set_aside] == ["Condition/c2", "Condition/c3"]


def test_b_24_the_same_range_beside_another_unit_is_no_limit() -> None:
    results = [
        observation(number, code=concept(CREATINE_KINASE), valueQuantity=value, referenceRange=RANGE)
        for number, value in (
            ("o1", {"value": 200, "unit": "U/L"}),
            ("o2", {"value": 3.3, "unit": "ukat/L"}),
            ("o3", {"value": 100, "unit": "U/L"}),
        )
    ]

    limits = [(entry.low, entry.high) for entry in read(payload("observations", bundle(*results))).observations]

    assert limits == [(30, 170), (None, None), (30, 170)]


def test_a_date_that_cannot_be_read_is_named_for_every_dosage_that_has_it() -> None:
    dosage = [{"timing": {"repeat": {"boundsPeriod": {"start": "soon"}}}}]
    drug = concept(PREDNISONE_20)
    orders = [
        resource("MedicationRequest", number, medicationCodeableConcept=drug, dosageInstruction=dosage)
        for number in ("m1", "m2")
    ]

    asides = read(payload("medicationRequests", bundle(*orders))).sources["medicationRequests"].set_aside

    assert [(aside.reference, aside.reason) for aside in asides] == [
        ("MedicationRequest/m1", "date-not-readable"),
        ("MedicationRequest/m2", "date-not-readable"),
    ]


def test_an_endless_code_is_looked_up_but_not_remembered() -> None:
    vocabulary: Vocabulary = msgspec.structs.replace(VOCABULARY, remembered={})

    vocabulary.meaning(MUSCLE_WEAKNESS["system"], MUSCLE_WEAKNESS["code"])
    endless = vocabulary.meaning(MUSCLE_WEAKNESS["system"], "1" * 10_000)

    assert endless.sets == frozenset()
    assert [code for _, code in vocabulary.remembered] == [MUSCLE_WEAKNESS["code"]]
