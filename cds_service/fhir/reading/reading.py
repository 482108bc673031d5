"""What every reader of a resource needs at hand: codes, clock, the patient's birth date, the Medications, the notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from cds_service.coding import SteroidProduct
from cds_service.fhir.reading.codes import Codes
from cds_service.fhir.reading.dates import Clock
from cds_service.fhir.reading.notes import SourceNotes
from cds_service.fhir.resources import Medication
from cds_service.partial_date import PartialDate
from cds_service.record import Dosage

# Why a resource, or the part of it that the reason names, was not used. Constant words: no chart text (P-20).
AHEAD = "dated-in-the-future"
NO_KNOWN_CODE = "no-known-code"
NO_VALUE = "no-value"
NOT_TO_BE_DONE = "not-to-be-done"
STATUS_NOT_KNOWN = "status-not-known"  # the entry is kept: a status that says nothing closes nothing
DATE_NOT_READABLE = "date-not-readable"


T = TypeVar("T")


Limits = tuple[float | None, float | None]


class Repeats:
    """Remembers, for one call, what parts meant that a chart repeats in the very same bytes or words.

    Statuses, categories, dosages, reference ranges and names of drugs: to decode one and look through it costs several
    times as much as to find it here.
    """

    def __init__(self) -> None:
        self.dosages: dict[bytes, tuple[Dosage, ...]] = {}
        self.limits: dict[tuple[bytes, str | None, str | None], Limits] = {}
        self.named_steroids: dict[str, tuple[SteroidProduct | None, str | None] | None] = {}
        self._answers: dict[tuple[Callable[..., Any], bytes], Any] = {}

    def answer(self, read: Callable[[msgspec.Raw], T], written: msgspec.Raw) -> T:
        """``read(written)``, which must depend on nothing else. What cannot be read raises each time."""
        key = (read, bytes(written))
        try:
            answer: T = self._answers[key]
        except KeyError:
            answer = self._answers[key] = read(written)
        return answer


class Reading(msgspec.Struct, frozen=True):
    """The reading of one source. ``medications`` is keyed by ``Medication/id`` and by fullUrl."""

    codes: Codes
    clock: Clock
    notes: SourceNotes
    birth_date: PartialDate | None
    medications: Mapping[str, Medication]
    repeats: Repeats
