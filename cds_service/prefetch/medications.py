"""Second stage (P-09): the Medications that medication resources refer to and do not carry."""

from __future__ import annotations

import functools
from contextlib import suppress
from threading import Lock

from cds_service.errors import FhirReadError
from cds_service.fhir.in_flight import InFlight
from cds_service.fhir.reading.identity import id_in_url
from cds_service.prefetch.access import Call
from cds_service.prefetch.fetching import FhirAccess
from cds_service.prefetch.gathering import Gathering
from cds_service.prefetch.pages import MEDICATION, medications_in
from cds_service.prefetch.scopes import Grant
from cds_service.record import MEDICATION_SOURCES

MAX_MEDICATIONS = 50  # P-09
MEDICATION_NOT_READ = "medication-not-read"


class ReferencedMedications:
    """Reads each Medication once.

    A source's are read as soon as its own pages are there, so that a slow source holds up no other.
    """

    def __init__(self, call: Call, in_flight: InFlight) -> None:
        self._call = call
        self._in_flight = in_flight
        self._lock = Lock()
        self._wanted: dict[str, list[Gathering]] = {}
        self._carried: set[str] = set()
        self._came: dict[str, bytes] = {}

    def look_for(self, gathering: Gathering) -> None:
        """Begin to read what the pages of a source refer to."""
        if gathering.name not in MEDICATION_SOURCES:
            return
        found = medications_in(gathering.pages)
        if not found.wanted or not self._can_read():
            return  # the reader makes do with the words of each reference
        with self._lock:
            self._carried |= found.carried
            missing = [r for r in sorted(found.wanted) if id_in_url(r, MEDICATION) not in self._carried]
            new = [reference for reference in missing if reference not in self._wanted]
            room = MAX_MEDICATIONS - len(self._wanted)
            for reference in missing:
                self._wanted.setdefault(reference, []).append(gathering)
        for reference in new[: max(0, room)]:
            self._in_flight.add(functools.partial(self._read, reference))

    def hand_out(self) -> None:
        """Give each Medication to a source that refers to it; a source that lacks one was not seen whole.

        To be called when all sources have stopped.
        """
        with self._lock:
            wanted = [(reference, tuple(gatherings)) for reference, gatherings in self._wanted.items()]
        for reference, gatherings in wanted:
            page = self._came.get(reference)
            if page is not None:
                gatherings[0].add(page)  # the reader looks for a Medication in the pages of all sources
            elif id_in_url(reference, MEDICATION) not in self._carried:
                for gathering in gatherings:
                    gathering.worsen(MEDICATION_NOT_READ)

    def _can_read(self) -> bool:
        return isinstance(self._call.access, FhirAccess) and self._call.grant(MEDICATION, "r") is not Grant.NONE

    def _read(self, reference: str) -> None:
        access = self._call.access
        if isinstance(access, FhirAccess):
            with suppress(FhirReadError):
                self._came[reference] = access.read(reference)
