"""Which resources of a pile belong to which patient."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from cds_service.fhir.datatypes import Element, Reference
from cds_service.fhir.reading.identity import id_in_url, reference_to, uuid_in, without_version
from cds_service.fhir.reading.pages import RESOURCE_TYPES, UNREADABLE
from cds_service.fhir.resources import Participant
from cds_service.record import SetAside

NO_PATIENT = "no-patient"
NOT_READABLE = "not-readable"
_IN_CHARTS = RESOURCE_TYPES - {"OperationOutcome"}


class PatientFile(msgspec.Struct, frozen=True):
    """One patient found in the files.

    ``resources`` are FHIR resources, or whole Bundle entries where the fullUrl says which resource it is (what
    ``reader.payloads_from_resources`` takes). A hook request is kept as it is. ``unassigned`` names what belongs to
    no patient; when nothing else was found ``patient_id`` is None.
    """

    label: str
    patient_id: str | None
    resources: tuple[msgspec.Raw, ...] = ()
    hook_request: msgspec.Raw | None = None
    unassigned: tuple[SetAside, ...] = ()


class _Header(Element):
    """What tells whose a resource is."""

    resource_type: str | None = None
    id: str | None = None
    subject: Reference | None = None
    patient: Reference | None = None
    participant: list[Participant] | None = None
    medication_reference: Reference | None = None


class _Typed(Element):
    resource_type: str | None = None


_TYPED = msgspec.json.Decoder(_Typed | None)
_HEADER = msgspec.json.Decoder(_Header)


class _Item(msgspec.Struct, frozen=True):
    """A resource with what identifies it. ``raw`` is the entry when it has a fullUrl, else the resource."""

    raw: msgspec.Raw
    header: _Header
    full_url: str | None

    @property
    def own_id(self) -> str | None:
        """Id, or what stands for it in the fullUrl."""
        header = self.header
        return header.id or id_in_url(self.full_url, header.resource_type or "") or uuid_in(self.full_url)

    @property
    def reference(self) -> str:
        """How reports name it."""
        return reference_to(self.header.resource_type or "", self.header.id, self.full_url)


class Chart:
    """Resources that may refer to each other: those of one Bundle, or all loose ones."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._items: list[tuple[str, _Item]] = []
        self._unassigned: list[SetAside] = []

    def add(
        self, raw: msgspec.Raw, label: str, full_url: str | None = None, resource: msgspec.Raw | None = None
    ) -> None:
        """Take one resource, or one entry with its resource; types that are not ours are left out."""
        try:
            typed = _TYPED.decode(resource or raw)
            if typed is not None and typed.resource_type in _IN_CHARTS:
                self._items.append((label, _Item(raw, _HEADER.decode(resource or raw), full_url)))
        except UNREADABLE:
            self.set_aside(label, NOT_READABLE)

    def set_aside(self, reference: str, reason: str) -> None:
        """Name what belongs to nobody."""
        self._unassigned.append(SetAside(reference, reason))

    def has_patient(self) -> bool:
        """A Bundle with a Patient is a chart of its own."""
        return any(item.header.resource_type == "Patient" for _, item in self._items)

    def join(self, other: Chart) -> None:
        """Take over what another chart holds."""
        self._items += other._items
        self._unassigned += other._unassigned

    def patients(self) -> Iterator[PatientFile]:
        """Group by patient, in the order in which they appear; Medications go to every patient that refers to them."""
        owners = self._owners()
        groups: dict[str, list[_Item]] = {}
        labels: dict[str, str] = {}
        medications = [item for _, item in self._items if item.header.resource_type == "Medication"]
        for label, item in self._items:
            if item.header.resource_type == "Medication":
                continue
            owner = _owner_of(item, owners)
            if owner is None:
                self.set_aside(item.reference, NO_PATIENT)
            else:
                groups.setdefault(owner, []).append(item)
                labels.setdefault(owner, label)
        unassigned = tuple(self._unassigned)
        for owner, items in groups.items():
            mine = [*items, *_referenced(medications, items)]
            yield PatientFile(labels[owner], owner, tuple(item.raw for item in mine), unassigned=unassigned)
            unassigned = ()
        if unassigned:
            yield PatientFile(self.label or "resources without a patient", None, unassigned=unassigned)

    def _owners(self) -> dict[str, str]:
        """Every way to refer to a patient of this chart, and the patient's id."""
        owners: dict[str, str] = {}
        for _, item in self._items:
            if item.header.resource_type == "Patient" and item.own_id:
                owners |= {f"Patient/{item.own_id}": item.own_id, f"urn:uuid:{item.own_id}": item.own_id}
                if item.full_url:
                    owners[item.full_url] = item.own_id
        return owners


def _owner_of(item: _Item, owners: dict[str, str]) -> str | None:
    """The id of the patient whose resource this is. A chart of one patient owns what names nobody."""
    header = item.header
    if header.resource_type == "Patient":
        return item.own_id
    actors = [participant.actor for participant in header.participant or ()]
    named = [subject.reference for subject in (header.subject, header.patient, *actors) if subject]
    references = [without_version(reference) for reference in named if reference]
    known = (owners.get(reference) or id_in_url(reference, "Patient") for reference in references)
    owner = next(filter(None, known), None)
    if owner is None and not references and len(set(owners.values())) == 1:
        return next(iter(owners.values()))
    return owner


def _referenced(medications: list[_Item], items: Iterable[_Item]) -> Iterator[_Item]:
    wanted = {
        reference
        for item in items
        if item.header.medication_reference and (reference := item.header.medication_reference.reference)
    }
    wanted |= {f"Medication/{own_id}" for reference in wanted if (own_id := id_in_url(reference, "Medication"))}
    return (item for item in medications if wanted & {f"Medication/{item.own_id}", item.full_url or ""})
