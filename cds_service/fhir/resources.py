"""The parts of FHIR R4 resources that the rules read, as narrow msgspec Structs.

Only fields that something reads are here: what is left out is skipped by the decoder at no cost. A field of type Raw
is decoded by its reader, once the resource's code has shown that it means something. Types are as loose
as real charts need: every field may be absent or null, ``category`` and the two Condition statuses may have the shape
of an older FHIR version (C41) or of Epic's samples. A resource that does not fit is set aside and named.
"""

from __future__ import annotations

import msgspec

from cds_service.fhir.datatypes import (
    ABSENT,
    Coding,
    Concept,
    Element,
    Measured,
    Period,
    Quantity,
    Ratio,
    Reference,
)


class Resource(msgspec.Struct, gc=False, rename="camel", tag_field="resourceType", tag=True):
    """A resource; its tag is its resourceType. ``meta`` is decoded only when its version is asked for."""

    id: str | None = None
    meta: msgspec.Raw = ABSENT


class PatientLink(Element):
    """Another record of the same person (P-06)."""

    other: Reference | None = None
    type: str | None = None


class Patient(Resource):
    """Read for age, sex, death and merged records."""

    birth_date: str | None = None
    gender: str | None = None
    deceased_boolean: bool | None = None
    deceased_date_time: str | None = None
    link: list[PatientLink] | None = None


class Condition(Resource):
    """A problem, a diagnosis or a symptom."""

    subject: Reference | None = None
    clinical_status: msgspec.Raw = ABSENT
    verification_status: msgspec.Raw = ABSENT
    category: msgspec.Raw = ABSENT
    severity: Concept | None = None
    code: Concept | None = None
    body_site: list[Concept] | None = None
    onset_date_time: str | None = None
    onset_age: Quantity | None = None
    onset_period: Period | None = None
    onset_string: str | None = None
    abatement_date_time: str | None = None
    abatement_age: object = None
    abatement_period: object = None
    abatement_range: object = None
    abatement_string: object = None
    abatement_boolean: bool | None = None
    recorded_date: str | None = None


class FamilyCondition(Element):
    """One condition of one relative."""

    code: Concept | None = None


class FamilyMemberHistory(Resource):
    """What a relative has (G4)."""

    patient: Reference | None = None
    status: str | None = None
    relationship: Concept | None = None
    condition: list[FamilyCondition] | None = None


class MedicationResource(Resource):
    """What the four medication resources have in common."""

    subject: Reference | None = None
    status: str | None = None
    medication_codeable_concept: Concept | None = None
    medication_reference: Reference | None = None
    contained: list[msgspec.Raw] | None = None


class MedicationStatement(MedicationResource):
    """What the patient is said to take."""

    effective_date_time: str | None = None
    effective_period: Period | None = None
    date_asserted: str | None = None
    dosage: msgspec.Raw = ABSENT


class DispenseRequest(Element):
    """How much an order lets the pharmacy hand out. Its validityPeriod is not exposure (section 5 step 3)."""

    number_of_repeats_allowed: int | None = None
    quantity: Quantity | None = None
    expected_supply_duration: Quantity | None = None


class MedicationRequest(MedicationResource):
    """An order."""

    intent: str | None = None
    do_not_perform: bool | None = None
    authored_on: str | None = None
    dosage_instruction: msgspec.Raw = ABSENT
    dispense_request: DispenseRequest | None = None


class MedicationDispense(MedicationResource):
    """What was handed over."""

    quantity: Quantity | None = None
    days_supply: Quantity | None = None
    when_handed_over: str | None = None
    dosage_instruction: msgspec.Raw = ABSENT


class AdministeredDosage(Element):
    """The dose that was given."""

    text: str | None = None
    route: Concept | None = None
    dose: Quantity | None = None


class MedicationAdministration(MedicationResource):
    """A dose that was given."""

    effective_date_time: str | None = None
    effective_period: Period | None = None
    dosage: AdministeredDosage | None = None


class Ingredient(Element):
    """One ingredient of a product."""

    item_codeable_concept: Concept | None = None
    strength: Ratio | None = None


class Medication(Resource):
    """A product that another resource refers to."""

    code: Concept | None = None
    form: Concept | None = None
    ingredient: list[Ingredient] | None = None


class Observation(Resource):
    """A result or a measurement."""

    subject: Reference | None = None
    status: str | None = None
    code: Concept | None = None
    effective_date_time: str | None = None
    effective_period: Period | None = None
    effective_instant: str | None = None
    value_quantity: msgspec.Raw = ABSENT
    value_integer: int | None = None
    value_string: object = None
    value_codeable_concept: object = None
    value_boolean: object = None
    value_range: object = None
    value_ratio: object = None
    data_absent_reason: Concept | None = None
    body_site: Concept | None = None
    specimen: Reference | None = None
    contained: list[msgspec.Raw] | None = None
    reference_range: msgspec.Raw = ABSENT
    has_member: list[Reference] | None = None
    component: list[Measured] | None = None


class Specimen(Resource):
    """What a result was taken from; read only where an Observation contains it."""

    type: Concept | None = None


class Procedure(Resource):
    """Something done."""

    subject: Reference | None = None
    status: str | None = None
    code: Concept | None = None
    performed_date_time: str | None = None
    performed_period: Period | None = None
    reason_code: list[Concept] | None = None


class DiagnosticReport(Resource):
    """A report on an examination."""

    subject: Reference | None = None
    status: str | None = None
    code: Concept | None = None
    effective_date_time: str | None = None
    effective_period: Period | None = None
    issued: str | None = None


class ServiceRequest(Resource):
    """An order or a referral."""

    subject: Reference | None = None
    status: str | None = None
    intent: str | None = None
    do_not_perform: bool | None = None
    code: Concept | None = None
    order_detail: list[Concept] | None = None
    authored_on: str | None = None
    performer_type: Concept | None = None
    reason_code: list[Concept] | None = None


class PlannedDetail(Element):
    """What a plan's activity is."""

    code: Concept | None = None
    status: str | None = None
    description: str | None = None


class PlannedActivity(Element):
    """One activity of a plan."""

    detail: PlannedDetail | None = None


class CarePlan(Resource):
    """A plan with its activities."""

    subject: Reference | None = None
    status: str | None = None
    intent: str | None = None
    title: str | None = None
    category: list[Concept] | Concept | None = None
    period: Period | None = None
    created: str | None = None
    activity: list[PlannedActivity] | None = None


class EncounterLocation(Element):
    """Where the patient was, and when."""

    location: Reference | None = None
    status: str | None = None
    period: Period | None = None


class Hospitalization(Element):
    """How a stay ended."""

    discharge_disposition: Concept | None = None


class Encounter(Resource):
    """A visit or a stay."""

    subject: Reference | None = None
    status: str | None = None
    setting: Coding | str | None = msgspec.field(name="class", default=None)
    type: list[Concept] | None = None
    service_type: Concept | None = None
    period: Period | None = None
    reason_code: list[Concept] | None = None
    hospitalization: Hospitalization | None = None
    location: list[EncounterLocation] | None = None


class Participant(Element):
    """Who comes to an appointment."""

    actor: Reference | None = None


class Appointment(Resource):
    """A visit that is planned. Its patient is one of its participants."""

    status: str | None = None
    service_type: list[Concept] | None = None
    specialty: list[Concept] | None = None
    reason_code: list[Concept] | None = None
    start: str | None = None
    end: str | None = None
    participant: list[Participant] | None = None


class Issue(Element):
    """One issue of an OperationOutcome."""

    severity: str | None = None
    code: str | None = None
    details: Concept | None = None


class OperationOutcome(Resource):
    """What a server says about a search (P-02)."""

    issue: list[Issue] | None = None


AnyResource = (
    Patient
    | Condition
    | FamilyMemberHistory
    | MedicationStatement
    | MedicationRequest
    | MedicationDispense
    | MedicationAdministration
    | Medication
    | Observation
    | Procedure
    | DiagnosticReport
    | ServiceRequest
    | CarePlan
    | Encounter
    | Appointment
    | OperationOutcome
)
