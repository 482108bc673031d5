"""What every reader of a resource needs at hand: codes, clock, the patient's birth date, the Medications, the notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from cds_service.fhir.reading.codes import Codes
from cds_service.fhir.reading.dates import Clock
from cds_service.fhir.reading.notes import SourceNotes
from cds_service.fhir.resources import Medication
from cds_service.partial_date import PartialDate

# Why a resource, or the part of it that the reason names, was not used. Constant words: no chart text (P-20).
AHEAD = "dated-in-the-future"
NO_KNOWN_CODE = "no-known-code"
NO_VALUE = "no-value"
NOT_TO_BE_DONE = "not-to-be-done"
STATUS_NOT_KNOWN = "status-not-known"  # the entry is kept: a status that says nothing closes nothing
DATE_NOT_READABLE = "date-not-readable"


class Reading(NamedTuple):
    """The reading of one source. ``medications`` is keyed by ``Medication/id`` and by fullUrl."""

    codes: Codes
    clock: Clock
    notes: SourceNotes
    birth_date: PartialDate | None
    medications: Mapping[str, Medication]
