"""What is noted while one source is read: how much of it was seen, and which resources were not used and why."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from cds_service.fhir.outcomes import ALL_SEEN, COMPLETE, FAILED, INCOMPLETE, Verdict
from cds_service.fhir.reading.identity import reference_of
from cds_service.fhir.resources import Resource
from cds_service.record import SetAside, Source, SourceName, SourceState

LISTED_LIMIT = 50
_RANK = {
    COMPLETE: 0,
    SourceState.NOT_NEEDED: 1,
    SourceState.NOT_OFFERED: 2,
    INCOMPLETE: 3,
    FAILED: 4,
}


class SourceNotes:
    """The state of one source, which only ever gets worse, and its resources that were set aside."""

    def __init__(self, name: SourceName, origin: Literal["prefetch", "fetch", "none"]) -> None:
        self.name = name
        self.origin = origin
        self.state = COMPLETE
        self.cause: str | None = None
        self._harmless_outcomes = 0
        self._listed: list[SetAside] = []
        self._reasons: Counter[str] = Counter()

    def worsen(self, verdict: Verdict) -> None:
        """Take the worse state; of equally bad ones the first cause stands."""
        if _RANK[verdict.state] > _RANK[self.state]:
            self.state, self.cause = verdict

    def outcome(self, verdict: Verdict) -> None:
        """What an OperationOutcome says of the source; one that holds nothing back is counted (P-02)."""
        self._harmless_outcomes += verdict == ALL_SEEN
        self.worsen(verdict)

    def set_aside(self, resource: Resource, full_url: str | None, reason: str) -> None:
        """Name a resource that is not used. ``reason`` is a constant word."""
        self._reasons[reason] += 1
        if len(self._listed) < LISTED_LIMIT:
            self._listed.append(SetAside(reference_of(resource, full_url), reason))

    def set_aside_unread(self, reference: str, reason: str) -> None:
        """Name something that could not even be read as a resource."""
        self._reasons[reason] += 1
        if len(self._listed) < LISTED_LIMIT:
            self._listed.append(SetAside(reference, reason))

    def count(self, reason: str) -> int:
        """How many resources were set aside for this reason."""
        return self._reasons[reason]

    def source(self) -> Source:
        """The notes as they stand in the record; what is over the limit is counted in one last entry."""
        listed = tuple(self._listed)
        if unlisted := self._reasons.total() - len(listed):
            listed += (SetAside(f"{unlisted} more", "not-listed"),)
        return Source(self.name, self.origin, self.state, listed, self.cause, self._harmless_outcomes)
