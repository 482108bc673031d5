"""The patient's record as the rules see it: frozen, narrow, with every entry's place in the chart.

An entry is kept only when a code or text of it means something to the rules (``coding.Vocabulary``). What could not
be read is not here but named in ``PatientRecord.sources``. ``None`` means not said.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

import msgspec

from cds_service.coding import NO_SETS, NOWHERE, CodeCertainty, Coding, Site, SteroidProduct
from cds_service.partial_date import PartialDate

SourceName = Literal[
    "patient",
    "conditions",
    "familyHistory",
    "medicationStatements",
    "medicationRequests",
    "medicationDispenses",
    "medicationAdministrations",
    "observations",
    "procedures",
    "reports",
    "orders",
    "encounters",
    "appointments",
    "carePlans",
]
MEDICATION_SOURCES: tuple[SourceName, ...] = (
    "medicationStatements",
    "medicationRequests",
    "medicationDispenses",
    "medicationAdministrations",
)

# What the Patient itself may lack.
BIRTH_DATE, GENDER = "birthDate", "gender"


class SourceState(StrEnum):
    """How much of a source was seen (P-03)."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    NOT_OFFERED = "not-offered"
    NOT_NEEDED = "not-needed"


class SetAside(msgspec.Struct, frozen=True, gc=False):
    """One resource that was not used, and why. ``reference`` is Type/id, or Type alone without an id."""

    reference: str
    reason: str


class Source(msgspec.Struct, frozen=True, gc=False):
    """Where one kind of resource came from and whether all of it was seen.

    ``harmless_outcomes``: how many OperationOutcomes came along that hold nothing back (P-02).
    """

    name: SourceName
    origin: Literal["prefetch", "fetch", "none"]
    state: SourceState
    set_aside: tuple[SetAside, ...] = ()
    cause: str | None = None
    harmless_outcomes: int = 0


class ConditionEntry(msgspec.Struct, frozen=True, gc=False):
    """A Condition. ``sets`` names the value sets that its codings belong to."""

    reference: str
    sets: frozenset[str]
    coding: Coding | None
    display: str
    clinical_status: str | None = None
    verification_status: str | None = None
    onset: PartialDate | None = None
    onset_is_text: bool = False
    abated: bool = False
    recorded: PartialDate | None = None
    encounter_diagnosis: bool = False
    site: Site = NOWHERE
    severity: Coding | None = None


class FamilyHistoryEntry(msgspec.Struct, frozen=True, gc=False):
    """One condition of one relative (G4: never the patient's own)."""

    reference: str
    sets: frozenset[str]
    coding: Coding | None
    display: str
    relationship: str | None = None


class Dosage(msgspec.Struct, frozen=True, gc=False):
    """One element of dosage or dosageInstruction, numbers as written.

    ``dose`` is the lowest of a range, in ``unit`` (UCUM code, else unit text). ``times`` per ``period`` ``period_unit``
    (s min h d wk mo a). ``bounds_days`` from boundsDuration (lowest of a boundsRange). ``as_needed`` is PRN.
    ``clock_times`` are the timeOfDay values that ``times_of_day`` counts (B-32: do two entries differ in time?).
    """

    sequence: int | None = None
    dose: float | None = None
    unit: str | None = None
    times: float | None = None
    period: float | None = None
    period_unit: str | None = None
    timing_code: Coding | None = None
    days_of_week: int = 0
    times_of_day: int = 0
    when: tuple[str, ...] = ()
    bounds_start: PartialDate | None = None
    bounds_end: PartialDate | None = None
    bounds_days: float | None = None
    as_needed: bool = False
    route_sets: frozenset[str] = NO_SETS
    route_known: bool = False
    text: str | None = None
    clock_times: tuple[str, ...] = ()


class MedicationEntry(msgspec.Struct, frozen=True, gc=False):
    """A MedicationStatement, MedicationRequest, MedicationDispense or MedicationAdministration.

    ``product`` is what its code says, when a coding stands in the steroid table; ``named_ingredient`` is the steroid
    that only its text names (A-07). ``strength_mg`` and ``form_sets`` come from a contained or referenced Medication
    (mg per tablet or per mL). Dates: ``start``/``end`` are the effective period, or the administration's;
    ``written`` is authoredOn, dateAsserted or whenHandedOver. ``supply_days`` is expectedSupplyDuration or daysSupply.
    """

    reference: str
    resource_type: Literal["MedicationStatement", "MedicationRequest", "MedicationDispense", "MedicationAdministration"]
    sets: frozenset[str]
    coding: Coding | None
    display: str
    certainty: CodeCertainty = CodeCertainty.EXACT
    product: SteroidProduct | None = None
    named_ingredient: str | None = None
    strength_mg: float | None = None
    strength_unit: str | None = None
    form_sets: frozenset[str] = NO_SETS
    status: str | None = None
    intent: str | None = None
    do_not_perform: bool = False
    start: PartialDate | None = None
    end: PartialDate | None = None
    is_period: bool = False
    written: PartialDate | None = None
    dosages: tuple[Dosage, ...] = ()
    supply_days: float | None = None
    quantity: float | None = None
    quantity_unit: str | None = None
    refills: int = 0
    route_sets: frozenset[str] = NO_SETS
    route_known: bool = False


class ObservationEntry(msgspec.Struct, frozen=True, gc=False):
    """A result or a measurement with a status that counts (final, amended, corrected).

    ``value`` is a number in ``unit`` (UCUM code, else unit text); ``high`` and ``low`` are its reference range in the
    same unit. A component of a panel is an entry of its own with the panel's reference. ``specimen`` is what it was
    taken from, in lower-case words.
    """

    reference: str
    sets: frozenset[str]
    coding: Coding | None
    display: str
    effective: PartialDate | None = None
    value: float | None = None
    unit: str | None = None
    comparator: str | None = None
    low: float | None = None
    high: float | None = None
    site: Site = NOWHERE
    specimen: str = ""


class ActivityEntry(msgspec.Struct, frozen=True, gc=False):
    """Something done, reported, ordered or planned: Procedure, DiagnosticReport, ServiceRequest, CarePlan activity.

    ``certainty`` is TEXT for a plan whose words say more than its code (A-43, A-56).
    """

    reference: str
    resource_type: Literal["Procedure", "DiagnosticReport", "ServiceRequest", "CarePlan"]
    sets: frozenset[str]
    coding: Coding | None
    display: str
    status: str | None = None
    intent: str | None = None
    date: PartialDate | None = None
    specialties: frozenset[str] = NO_SETS
    reason_sets: frozenset[str] = NO_SETS
    certainty: CodeCertainty = CodeCertainty.EXACT


class VisitEntry(msgspec.Struct, frozen=True, gc=False):
    """An Encounter or Appointment. ``setting`` is the v3 ActCode of Encounter.class (AMB, EMER, IMP ...)."""

    reference: str
    resource_type: Literal["Encounter", "Appointment"]
    status: str | None
    sets: frozenset[str] = NO_SETS
    display: str = ""
    setting: str | None = None
    specialties: frozenset[str] = NO_SETS
    start: PartialDate | None = None
    end: PartialDate | None = None
    reason_sets: frozenset[str] = NO_SETS


class PatientRecord(msgspec.Struct, frozen=True):
    """Everything the rules may ask about one patient.

    ``metas``: by reference the ``meta`` of what was read, as it was written (``fhir/versions`` reads it).
    """

    patient_id: str
    birth_date: PartialDate | None = None
    gender: str | None = None
    deceased: bool = False
    conditions: tuple[ConditionEntry, ...] = ()
    family_history: tuple[FamilyHistoryEntry, ...] = ()
    medications: tuple[MedicationEntry, ...] = ()
    observations: tuple[ObservationEntry, ...] = ()
    activities: tuple[ActivityEntry, ...] = ()
    visits: tuple[VisitEntry, ...] = ()
    sources: Mapping[SourceName, Source] = {}
    metas: Mapping[str, msgspec.Raw] = {}

    def state(self, name: SourceName) -> SourceState:
        """How much of a source was seen; a source that nobody asked for is not-needed."""
        source = self.sources.get(name)
        return source.state if source else SourceState.NOT_NEEDED
