"""The four medication resources: which drug, how much, when (A-07, A-48, B-31, P-09, P-14)."""

import pytest

from cds_service.coding import Coding, SteroidProduct
from cds_service.record import SetAside
from tests.unit.fhir.samples import (
    GTS,
    HYDROCORTISONE,
    HYDROCORTISONE_CREAM,
    PREDNISONE,
    PREDNISONE_20,
    RXNORM,
    SNOMED,
    bundle,
    concept,
    entry,
    payload,
    quantity,
    read,
    resource,
)

STATEMENT = {"medicationStatements": "MedicationStatement"}


def statement(**fields):
    """Prednisone 20 mg tablets, active, since August."""
    return resource(
        "MedicationStatement",
        "m1",
        **{
            "status": "active",
            "medicationCodeableConcept": concept(PREDNISONE_20),
            "effectivePeriod": {"start": "2026-08-01"},
        }
        | fields,
    )


def request(**fields):
    """An order for prednisone 20 mg tablets."""
    return resource(
        "MedicationRequest",
        "m1",
        **{
            "status": "active",
            "intent": "order",
            "authoredOn": "2026-10-01",
            "medicationCodeableConcept": concept(PREDNISONE_20),
        }
        | fields,
    )


def medications_of(source, *items):
    """The medication entries of a source."""
    return read(payload(source, bundle(*items))).medications


def the_statement(*others, **fields):
    """The only entry of a statement, read beside other resources."""
    (found,) = medications_of("medicationStatements", statement(**fields), *others)
    return found


def the_request(**fields):
    """The only entry of a request."""
    (found,) = medications_of("medicationRequests", request(**fields))
    return found


def the_dosage(**fields):
    """The Dosage that one element becomes."""
    (dosage,) = the_statement(dosage=[fields]).dosages
    return dosage


# --- which drug ---------------------------------------------------------------------------------------------------


def test_the_product_comes_from_the_table_and_not_from_its_display():
    found = the_statement(medicationCodeableConcept=concept(PREDNISONE_20 | {"display": "Deltasone"}))

    assert found.product == SteroidProduct("prednisone", 20.0, "tablet", "oral-solid", systemic=True)
    assert (found.coding, found.display, found.named_ingredient) == (Coding(RXNORM, "312615"), "Deltasone", None)


def test_of_several_codings_the_one_that_says_most_is_the_product():
    found = the_statement(medicationCodeableConcept=concept(PREDNISONE, PREDNISONE_20))

    assert (found.product.strength_mg, found.coding.code) == (20, "312615")


def test_a_topical_steroid_is_recognised_as_local():
    found = the_statement(medicationCodeableConcept=concept(HYDROCORTISONE_CREAM))

    assert (found.product.ingredient, found.product.systemic) == ("hydrocortisone", False)


@pytest.mark.parametrize(
    "text", ["Prednisone", "predniSONE 20mg tab", "PREDNISONE (oral)", "take prednisone, 40mg PO daily"]
)
def test_a07_a_steroid_that_only_words_name(text):
    found = the_statement(medicationCodeableConcept={"text": text})

    assert (found.named_ingredient, found.product, found.coding) == ("prednisone", None, None)
    assert found.display == text


def test_a07_words_that_make_it_local():
    for text in ("Hydrocortisone 1% Cream", "prednisolone intra-articular", "hydrocortisone inhaler"):
        found = the_statement(medicationCodeableConcept={"text": text})

        assert found.named_ingredient is None
        assert found.product.systemic is False


def test_whole_words_only():
    assert (
        the_statement(medicationCodeableConcept={"text": "methylprednisolone"}).named_ingredient == "methylprednisolone"
    )
    assert (
        medications_of("medicationStatements", statement(medicationCodeableConcept={"text": "Imipenem/Cilastatin"}))
        == ()
    )
    assert medications_of("medicationStatements", statement(medicationCodeableConcept={"text": "prednisonelike"})) == ()


def test_a_code_that_is_not_in_the_table_does_not_hide_the_words():
    unknown = {"system": RXNORM, "code": "999999999", "display": "predniSONE 20 MG Oral Tablet [Brand]"}

    assert the_statement(medicationCodeableConcept=concept(unknown)).named_ingredient == "prednisone"


def test_other_drugs_leave_no_entry_and_no_complaint():
    lisinopril = concept({"system": RXNORM, "code": "314076", "display": "lisinopril 10 MG Oral Tablet"})
    record = read(payload("medicationStatements", bundle(statement(medicationCodeableConcept=lisinopril))))

    assert record.medications == ()
    assert (record.state("medicationStatements").value, record.sources["medicationStatements"].set_aside) == (
        "complete",
        (),
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"medicationCodeableConcept": concept({"system": "http://hospital.example/drugs", "code": "D1"})},
        {"medicationCodeableConcept": {"extension": [{"url": "data-absent-reason", "valueCode": "unknown"}]}},
        {"medicationCodeableConcept": None, "medicationReference": {"reference": "Medication/gone"}},
        {"medicationCodeableConcept": None},
    ],
)
def test_a_medication_that_nobody_can_name_is_named_as_a_gap(fields):
    record = read(payload("medicationStatements", bundle(statement(**fields))))
    source = record.sources["medicationStatements"]

    assert source.set_aside == (SetAside("MedicationStatement/m1", "no-known-code"),)
    assert (source.state.value, source.cause) == ("incomplete", "no-known-code-system")


MEDICATION = {
    "resourceType": "Medication",
    "id": "med1",
    "code": concept(HYDROCORTISONE),
    "form": {"text": "By mouth"},
    "ingredient": [
        {
            "itemCodeableConcept": concept(HYDROCORTISONE),
            "strength": {"numerator": quantity(0.5, "g"), "denominator": quantity(100, "mL")},
        }
    ],
}


@pytest.mark.parametrize(
    ("reference", "full_url"),
    [
        ("Medication/med1", None),
        ("https://ehr.example/fhir/Medication/med1", "https://ehr.example/fhir/Medication/med1"),
        ("Medication/med1/_history/2", None),
        ("urn:uuid:5f2d", "urn:uuid:5f2d"),
    ],
)
def test_p09_a_referenced_medication_gives_code_strength_and_form(reference, full_url):
    included = entry(MEDICATION, full_url=full_url, mode="include")
    found = the_statement(included, medicationCodeableConcept=None, medicationReference={"reference": reference})

    assert found.product.ingredient == "hydrocortisone"
    assert (found.strength_mg, found.strength_unit, found.form_sets) == (5, "mL", {"route-systemic"})


def test_a_contained_medication():
    fields = {
        "medicationReference": {"reference": "#med1"},
        "contained": [{"resourceType": "Organization"}, MEDICATION],
    }

    assert the_statement(medicationCodeableConcept=None, **fields).strength_mg == 5


def test_p09_a_medication_read_by_itself_is_a_page_of_its_source_or_of_another():
    item = statement(medicationCodeableConcept=None, medicationReference={"reference": "Medication/med1"})
    same = read(payload("medicationStatements", bundle(item), MEDICATION))
    other = read(payload("medicationStatements", bundle(item)), payload("medicationRequests", MEDICATION))

    assert same.medications == other.medications != ()
    assert {same.state("medicationStatements").value, other.state("medicationRequests").value} == {"complete"}


def test_a_contained_medication_that_is_not_there_or_not_readable_leaves_the_words():
    reference = {"reference": "#med1", "display": "Prednisone"}
    for contained in ([], [MEDICATION | {"id": "other"}], [MEDICATION | {"form": 7}]):
        found = the_statement(medicationCodeableConcept=None, medicationReference=reference, contained=contained)

        assert (found.named_ingredient, found.strength_mg) == ("prednisone", None)


def test_epic_gives_a_reference_with_only_a_display():
    reference = {"reference": "Medication/e123", "display": "predniSONE 20 mg tablet"}
    found = the_statement(medicationCodeableConcept=None, medicationReference=reference)

    assert (found.named_ingredient, found.display) == ("prednisone", "predniSONE 20 mg tablet")


def test_the_strength_of_a_combination_is_that_of_its_steroid():
    other = {"itemCodeableConcept": {"text": "neomycin"}, "strength": {"numerator": quantity(3, "mg")}}
    both = MEDICATION | {"ingredient": [other, *MEDICATION["ingredient"]]}
    reference = {"reference": "Medication/med1"}

    assert the_statement(both, medicationCodeableConcept=None, medicationReference=reference).strength_mg == 5


def test_a_strength_may_be_in_any_word_for_mg_that_the_rules_know():
    reference = {"reference": "Medication/med1"}
    amount = {"numerator": {"value": 5, "unit": "Milligram"}, "denominator": quantity(1, "mL")}
    written = MEDICATION | {"ingredient": [MEDICATION["ingredient"][0] | {"strength": amount}]}

    assert the_statement(written, medicationCodeableConcept=None, medicationReference=reference).strength_mg == 5


def test_a_compound_goes_by_the_name_of_its_steroid():
    other = {"itemCodeableConcept": concept({"system": SNOMED, "code": "387253001", "display": "Salicylic acid"})}
    compound = {"resourceType": "Medication", "id": "med1", "ingredient": [other, *MEDICATION["ingredient"]]}
    found = the_statement(
        compound, medicationCodeableConcept=None, medicationReference={"reference": "Medication/med1"}
    )

    assert (found.display, found.coding) == ("hydrocortisone", Coding(RXNORM, "5492"))


@pytest.mark.parametrize(
    "strength",
    [
        {},
        {"numerator": quantity(5, "mg")},
        {"numerator": quantity(5, "mmol"), "denominator": quantity(1, "mL")},
        {"numerator": quantity(5, "mg"), "denominator": quantity(0, "mL")},
    ],
)
def test_a_strength_that_cannot_be_told_is_unknown(strength):
    product = MEDICATION | {"ingredient": [{"itemCodeableConcept": concept(HYDROCORTISONE), "strength": strength}]}
    reference = {"reference": "Medication/med1"}

    assert the_statement(product, medicationCodeableConcept=None, medicationReference=reference).strength_mg is None


# --- how much and how often ---------------------------------------------------------------------------------------


def test_dose_and_schedule_as_written():
    dosage = the_dosage(
        sequence=2,
        text="40mg PO daily",
        doseAndRate=[{"doseQuantity": quantity(20, "mg")}],
        timing={"repeat": {"frequency": 2, "frequencyMax": 4, "period": 1, "periodUnit": "d"}},
    )

    assert (dosage.sequence, dosage.dose, dosage.unit, dosage.text) == (2, 20, "mg", "40mg PO daily")
    assert (dosage.times, dosage.period, dosage.period_unit, dosage.as_needed) == (2, 1, "d", False)


def test_the_lowest_value_of_a_range_counts():
    timing = {"repeat": {"frequency": 1, "period": 4, "periodMax": 6, "periodUnit": "h"}}
    dosage = the_dosage(
        doseAndRate=[{"doseRange": {"low": quantity(1, "mg"), "high": quantity(2, "mg")}}], timing=timing
    )

    assert (dosage.dose, dosage.period) == (1, 6)


def test_a_period_without_frequency_is_once_per_period():
    assert the_dosage(timing={"repeat": {"period": 2, "periodUnit": "d"}}).times == 1
    assert the_dosage(timing={"repeat": {}}).times is None


@pytest.mark.parametrize(
    "fields",
    [
        {"doseQuantity": quantity(40, "mg")},
        {"doseAndRate": [{}], "doseQuantity": quantity(40, "mg")},
        {
            "extension": [
                {"url": "x"},
                {"url": "https://open.epic.com/fhir/extensions/ordered-dose", "valueQuantity": quantity(40, "mg")},
            ]
        },
    ],
)
def test_p14_the_dose_in_epics_places(fields):
    dosage = the_dosage(**fields, timing={"repeat": {"boundsPeriod": {"start": "2026-08-01"}}})

    assert (dosage.dose, dosage.unit, dosage.bounds_start.text, dosage.bounds_end) == (40, "mg", "2026-08-01", None)


def test_dose_and_rate_wins_over_the_older_places():
    assert the_dosage(doseAndRate=[{"doseQuantity": quantity(20, "mg")}], doseQuantity=quantity(40, "mg")).dose == 20


def test_timing_code_days_times_and_events():
    repeat = {"dayOfWeek": ["mon", "thu"], "timeOfDay": ["08:00:00"], "when": ["ACM", "PCV"]}
    dosage = the_dosage(timing={"code": concept({"system": GTS, "code": "BID"}), "repeat": repeat})

    assert dosage.timing_code == Coding(GTS, "BID")
    assert (dosage.days_of_week, dosage.times_of_day, dosage.when) == (2, 1, ("ACM", "PCV"))


@pytest.mark.parametrize(
    "code",
    [
        concept(
            {"system": "https://fhir.vendor.example.org/codeSet/4003", "code": "696530"}, {"system": GTS, "code": "QD"}
        ),
        {"text": "QD"},
        {"text": " qd"},
        concept({"system": "https://fhir.vendor.example.org/codeSet/4003", "code": "696530"}, text="QD"),
    ],
    ids=["behind a code of the vendor", "text", "small letters", "text beside a code of the vendor"],
)
def test_a_timing_code_wherever_it_stands(code):
    """R4, Timing.code: "or just text in code.text". Oracle Health writes its own code first."""
    assert the_dosage(timing={"code": code}).timing_code == Coding(GTS, "QD")


@pytest.mark.parametrize(
    "code",
    [
        {"text": "Q6H PRN"},
        {"text": "0900 & 1800"},
        {"text": "40 mg QD"},
        {"text": ""},
        {},
        concept({"system": GTS, "code": "qd"}),
        concept({"system": "https://fhir.vendor.example.org/codeSet/4003", "code": "QD"}),
        concept({"system": "https://fhir.vendor.example.org/codeSet/4003", "code": "696530", "display": "QD"}),
        concept({"code": "QD"}),
    ],
)
def test_no_timing_is_read_out_of_other_words_or_codes(code):
    """Text is compared whole and never taken apart; a code belongs to its system; displays are never compared."""
    assert the_dosage(timing={"code": code}).timing_code is None


@pytest.mark.parametrize(
    ("repeat", "days"),
    [
        ({"boundsDuration": {"value": 2, "code": "wk"}}, 14),
        ({"boundsDuration": {"value": 48, "unit": "hours"}}, 2),
        ({"boundsDuration": {"value": 1, "code": "mo"}}, 30.4375),
        ({"boundsRange": {"low": {"value": 5, "code": "d"}, "high": {"value": 7, "code": "d"}}}, 5),
        ({"boundsDuration": {"value": 3, "code": "furlong"}}, None),
        ({}, None),
    ],
)
def test_bounds_in_days(repeat, days):
    assert the_dosage(timing={"repeat": repeat}).bounds_days == days


@pytest.mark.parametrize("fields", [{"asNeededBoolean": True}, {"asNeededCodeableConcept": {"text": "pain"}}])
def test_as_needed(fields):
    assert the_dosage(**fields).as_needed
    assert not the_dosage(asNeededBoolean=False).as_needed


def test_routes_by_exact_text_and_a_route_that_nobody_knows():
    spoken = the_dosage(route={"text": "By mouth "})
    odd = the_dosage(route=concept({"system": SNOMED, "code": "1"}))
    none = the_dosage()

    assert (spoken.route_sets, spoken.route_known) == ({"route-systemic"}, True)
    assert (odd.route_sets, odd.route_known) == (frozenset(), True)
    assert (none.route_sets, none.route_known) == (frozenset(), False)
    assert the_statement(dosage=[{"route": {"text": "by mouth"}}, {}]).route_sets == {"route-systemic"}


# --- when ---------------------------------------------------------------------------------------------------------


def test_a_statement_with_a_period():
    found = the_statement(effectivePeriod={"start": "2026-08", "end": "2026-10-01"}, dateAsserted="2026-11-01")

    assert (found.start.text, found.end.text, found.is_period, found.written.text) == (
        "2026-08",
        "2026-10-01",
        True,
        "2026-11-01",
    )
    assert found.status == "active"


def test_a_statement_with_one_date_or_none():
    one = the_statement(effectivePeriod=None, effectiveDateTime="2026-11-01")
    none = the_statement(effectivePeriod=None)

    assert (one.start.text, one.end, one.is_period) == ("2026-11-01", None, False)
    assert (none.start, none.written) == (None, None)


def test_b31_an_order_with_its_supply():
    supply = {
        "expectedSupplyDuration": {"value": 30, "unit": "days"},
        "quantity": {"value": 60, "unit": "tablet"},
        "numberOfRepeatsAllowed": 2,
        "validityPeriod": {"start": "2026-10-01", "end": "2027-10-01"},
    }
    found = the_request(dispenseRequest=supply, doNotPerform=True, dosageInstruction=[{"sequence": 1}, {"sequence": 2}])

    assert (found.supply_days, found.quantity, found.quantity_unit, found.refills) == (30, 60, "tablet", 2)
    assert (found.written.text, found.start, found.end) == ("2026-10-01", None, None)
    assert (found.intent, found.do_not_perform, found.resource_type) == ("order", True, "MedicationRequest")
    assert [dosage.sequence for dosage in found.dosages] == [1, 2]


def test_an_order_that_says_nothing_more():
    found = the_request()

    assert (found.dosages, found.supply_days, found.quantity, found.refills) == ((), None, None, 0)


def test_b31_a_dispense():
    item = resource(
        "MedicationDispense",
        "d1",
        status="completed",
        medicationCodeableConcept=concept(PREDNISONE_20),
        whenHandedOver="2026-10-02T09:30:00Z",
        daysSupply={"value": 4, "code": "wk"},
        quantity={"value": 56, "unit": "tablet"},
    )
    (found,) = medications_of("medicationDispenses", item)

    assert (found.written.text, found.supply_days, found.quantity) == ("2026-10-02T09:30:00Z", 28, 56)


def test_b31_an_administration():
    item = resource(
        "MedicationAdministration",
        "a1",
        status="completed",
        medicationCodeableConcept=concept(PREDNISONE),
        effectivePeriod={"start": "2026-11-01", "end": "2026-11-03"},
        dosage={"dose": quantity(1000, "mg"), "route": {"text": "by mouth"}},
    )
    (found,) = medications_of("medicationAdministrations", item)

    assert (found.start.text, found.end.text, found.is_period) == ("2026-11-01", "2026-11-03", True)
    assert (found.dosages[0].dose, found.route_sets) == (1000, {"route-systemic"})


def test_a48_a_course_that_begins_later_than_tomorrow_is_set_aside():
    record = read(
        payload("medicationStatements", bundle(statement(effectivePeriod={"start": "2026-12-24"}))),
        payload("medicationRequests", bundle(request(authoredOn="2027-01-01"))),
    )

    assert record.medications == ()
    assert record.sources["medicationRequests"].set_aside == (SetAside("MedicationRequest/m1", "dated-in-the-future"),)


def test_an_order_that_began_today_may_end_in_the_future():
    assert the_statement(effectivePeriod={"start": "2026-11-27", "end": "2027-11-27"}).end.text == "2027-11-27"
