"""What could not be checked, in plain words (P-03, P-04)."""

from __future__ import annotations

from collections.abc import Iterable

from cds_service.cards.knowledge import CardDeck
from cds_service.record import BIRTH_DATE, GENDER, MEDICATION_SOURCES, PatientRecord, SourceName, SourceState
from cds_service.rule_engine.inquiry import MEDICATIONS
from cds_service.rule_engine.model import Evaluation, Status

_UNREAD = frozenset({SourceState.INCOMPLETE, SourceState.FAILED})
_DETAILS = frozenset({BIRTH_DATE, GENDER})


def gaps_of(evaluation: Evaluation) -> tuple[str, ...]:
    """What was not seen and leaves a rule that can warn unknown: the gap card names it (P-04)."""
    missing = (
        name
        for assessment in evaluation.assessments
        if assessment.status is Status.UNKNOWN and any(f.indicator != "info" for f in assessment.rule.fires)
        for name in assessment.missing
    )
    return tuple(name for name in dict.fromkeys(missing) if is_unread(name, evaluation.facts.record))


def is_unread(name: str, record: PatientRecord) -> bool:
    """Whether a source was asked for and not seen whole. What a client does not offer is never on a card (P-03)."""
    if name in _DETAILS:
        return True
    members: Iterable[SourceName] = (
        MEDICATION_SOURCES if name == MEDICATIONS else [s for s in record.sources if s == name]
    )
    return any(record.state(member) in _UNREAD for member in members)


def in_words(names: Iterable[str], deck: CardDeck) -> tuple[str, ...]:
    """Plain words for sources; a sentence stays as it is."""
    return tuple(deck.cards.source_words.get(name, name) for name in names)
