"""What one client was shown about one patient, and what it answered: read once per call, and only when asked (A-16)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec
from sqlalchemy import Engine, bindparam, select

from cds_service.cds_hooks.feedback import Outcome
from cds_service.store.connection import or_unavailable
from cds_service.store.schema import cards_shown, feedback


class Answer(msgspec.Struct, frozen=True):
    """Something a user did with a card.

    ``at`` is when, in UTC, never later than we heard of it. ``accepted_orders`` are keys of orders.
    """

    card: str
    outcome: Outcome
    at: datetime
    reason_code: str | None = None
    reason_system: str | None = None
    accepted_orders: tuple[str, ...] = ()


class PatientMemory:
    """Memory of one patient at one client. ``patient`` is a fingerprint (P-33)."""

    def __init__(self, engine: Engine, keyed: Callable[..., str], client: str, patient: str) -> None:
        self.patient = patient
        self._engine = engine
        self._keyed = keyed
        self._whose = {"of_client": client, "of_patient": patient}

    def answer(self, rule_id: str, evidence: str) -> Answer | None:
        """The latest answer to a card with this rule and this evidence (B-51); None if there was none."""
        return self._answers.get(self._keyed(rule_id, evidence))

    def first_shown(self, rule_id: str, evidence: str) -> datetime | None:
        """When this evidence for this rule was first on a card (B-25); None if never."""
        return self._first_shown.get(self._keyed(rule_id, evidence))

    @cached_property
    def _answers(self) -> dict[str, Answer]:
        with or_unavailable(), self._engine.connect() as connection:
            rows = connection.execute(_ANSWERS, self._whose).all()
        # Oldest first: a later answer replaces an earlier one.
        return {mark: answer_of(row) for row in rows for mark in _marks(row.evidence)}

    @cached_property
    def _first_shown(self) -> dict[str, datetime]:
        with or_unavailable(), self._engine.connect() as connection:
            rows = connection.execute(_SHOWN, self._whose).all()
        # Newest first: the oldest stays.
        return {mark: row.shown_at for row in rows for mark in _marks(row.evidence)}


def reported_about(engine: Engine, card: str) -> tuple[Answer, ...]:
    """Everything that was reported about one card, oldest first."""
    with or_unavailable(), engine.connect() as connection:
        return tuple(map(answer_of, connection.execute(_ABOUT_CARD, {"of_card": card})))


def answer_of(row: Any) -> Answer:
    """The answer that a row of feedback, joined with its card, tells of."""
    orders = msgspec.json.decode(row.suggestions, type=dict[str, str])
    accepted = msgspec.json.decode(row.accepted, type=list[str])
    return Answer(
        card=row.card,
        outcome=row.outcome,
        at=min(row.outcome_timestamp, row.received_at),
        reason_code=row.reason_code,
        reason_system=row.reason_system,
        accepted_orders=tuple(orders[uuid] for uuid in accepted),
    )


def _marks(evidence: str) -> Iterator[str]:
    yield from msgspec.json.decode(evidence, type=list[str])


_OF_PATIENT = (cards_shown.c.client == bindparam("of_client"), cards_shown.c.patient == bindparam("of_patient"))
_SHOWN = (
    select(cards_shown.c.evidence, cards_shown.c.shown_at).where(*_OF_PATIENT).order_by(cards_shown.c.shown_at.desc())
)
_REPORTED = (
    select(
        feedback.c.card,
        feedback.c.outcome,
        feedback.c.outcome_timestamp,
        feedback.c.received_at,
        feedback.c.reason_code,
        feedback.c.reason_system,
        feedback.c.accepted,
        cards_shown.c.suggestions,
        cards_shown.c.evidence,
    )
    .join_from(feedback, cards_shown)
    .order_by(feedback.c.outcome_timestamp, feedback.c.id)
)
_ANSWERS = _REPORTED.where(*_OF_PATIENT)
_ABOUT_CARD = _REPORTED.where(feedback.c.card == bindparam("of_card"))
