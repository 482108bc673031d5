"""What a card cites, and the record without what a user called wrong (B-51)."""

from __future__ import annotations

from collections.abc import Iterable

from cds_service.cards.knowledge import CardDeck
from cds_service.cards.memory import Memory
from cds_service.fhir.versions import ResourceVersion, Versions, without
from cds_service.record import PatientRecord
from cds_service.rule_engine.model import Fact

CALLED_WRONG = "called-wrong"


def cited(facts: Iterable[Fact], versions: Versions) -> tuple[ResourceVersion, ...]:
    """The resources of the facts that a card shows, each once, as they were read."""
    found = (versions.of(reference) for reference in dict.fromkeys(fact.reference for fact in facts))
    return tuple(version for version in found if version is not None)


def without_disputed(record: PatientRecord, memory: Memory, deck: CardDeck) -> PatientRecord:
    """The record without every resource that a user called wrong and that has not changed since; each is named."""
    is_disputed = memory.disputed(deck.cards.disputing)
    if is_disputed is None:
        return record
    wrong = frozenset(version.reference for version in Versions(record).all() if is_disputed(version))
    return without(record, wrong, CALLED_WRONG) if wrong else record


def called_wrong(record: PatientRecord) -> int:
    """How many resources were left out because a user called them wrong."""
    return sum(noted.reason == CALLED_WRONG for source in record.sources.values() for noted in source.set_aside)
