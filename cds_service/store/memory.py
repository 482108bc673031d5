"""What one client was shown about one patient and what it answered: each read at most once per call (A-16)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Engine, Row, Select, bindparam, select

from cds_service.cds_hooks.feedback import Outcome
from cds_service.cds_hooks.response import Indicator
from cds_service.errors import StoreUnavailable
from cds_service.fhir.versions import ResourceVersion
from cds_service.store.connection import or_unavailable
from cds_service.store.schema import cards_shown, feedback


class Answer(msgspec.Struct, frozen=True):
    """Something a user did with a card.

    ``at`` is when, in UTC, never later than we heard of it. ``accepted_orders`` are keys of orders. ``indicator`` is
    the card's, ``cited`` the fingerprints of the resource versions that it cites.
    """

    card: str
    outcome: Outcome
    at: datetime
    indicator: Indicator
    reason_code: str | None = None
    reason_system: str | None = None
    accepted_orders: tuple[str, ...] = ()
    cited: frozenset[str] = frozenset()


class Showing(NamedTuple):
    """That a card was shown: when, and as what."""

    at: datetime
    indicator: Indicator


class PatientMemory:
    """Memory of one patient at one client. ``patient`` is a fingerprint (P-33).

    ``until``: what was shown, or heard of, at that moment or later is not remembered; None: all is.
    """

    def __init__(
        self, engine: Engine, keyed: Callable[..., str], client: str, patient: str, until: datetime | None = None
    ) -> None:
        self.patient = patient
        self._until = until
        self._in_trouble = False
        self._engine = engine
        self._keyed = keyed
        self._whose = {"of_client": client, "of_patient": patient}

    def answer(self, rule_id: str, evidence: str) -> Answer | None:
        """The latest answer to a card with this rule and this evidence (B-51); None if there was none."""
        return self._answers.get(self._keyed(rule_id, evidence))

    def first_shown(self, rule_id: str, evidence: str) -> datetime | None:
        """When this evidence for this rule was first on a card (B-25); None if never."""
        showings = self._showings.get(self._keyed(rule_id, evidence))
        return showings[0].at if showings else None

    def last_shown(self, rule_id: str, evidence: str) -> Showing | None:
        """The newest card with this evidence for this rule (A-16); None if there was none."""
        showings = self._showings.get(self._keyed(rule_id, evidence))
        return showings[-1] if showings else None

    def disputed(self, reasons: Collection[str]) -> Callable[[ResourceVersion], bool] | None:
        """Whether a card cites that version whose newest answer has one of these reasons (B-51); None: no card does."""
        newest = {answer.card: answer for answer, _ in self._answered}
        cited = [a.cited for a in newest.values() if a.outcome == "overridden" and a.reason_code in reasons]
        marks = frozenset[str]().union(*cited)
        return (lambda version: self.mark(version) in marks) if marks else None

    def mark(self, version: ResourceVersion) -> str:
        """The fingerprint of one version of one of this patient's resources."""
        return self._keyed(self.patient, *version)

    @cached_property
    def _answers(self) -> dict[str, Answer]:
        # Oldest first: a later answer replaces an earlier one.
        return {mark: answer for answer, evidence in self._answered for mark in _marks(evidence)}

    @cached_property
    def _answered(self) -> list[tuple[Answer, str]]:
        rows = self._read(_ANSWERS)
        return [(answer_of(row), row.evidence) for row in rows if self._is_before(row.received_at)]

    @cached_property
    def _showings(self) -> dict[str, list[Showing]]:
        rows = self._read(_SHOWN)
        found: dict[str, list[Showing]] = {}
        for row in rows:
            if not self._is_before(row.shown_at):
                break
            for mark in _marks(row.evidence):
                found.setdefault(mark, []).append(Showing(row.shown_at, row.indicator))
        return found

    def _read(self, asked: Select[Any]) -> Sequence[Row[Any]]:
        """Raises StoreUnavailable, and then each time: a call waits for a store in trouble once."""
        if self._in_trouble:
            raise StoreUnavailable("The store could not be used just now.")
        self._in_trouble = True
        with or_unavailable(), self._engine.connect() as connection:
            rows = connection.execute(asked, self._whose).all()
        self._in_trouble = False
        return rows

    def _is_before(self, moment: datetime) -> bool:
        return self._until is None or moment < self._until


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
        indicator=row.indicator,
        reason_code=row.reason_code,
        reason_system=row.reason_system,
        accepted_orders=tuple(orders[uuid] for uuid in accepted),
        cited=frozenset(_marks(row.cited)),
    )


def _marks(written: str) -> Iterator[str]:
    yield from msgspec.json.decode(written, type=list[str])


_OF_PATIENT = (cards_shown.c.client == bindparam("of_client"), cards_shown.c.patient == bindparam("of_patient"))
_SHOWN = (
    select(cards_shown.c.evidence, cards_shown.c.shown_at, cards_shown.c.indicator)
    .where(*_OF_PATIENT)
    .order_by(cards_shown.c.shown_at)
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
        cards_shown.c.indicator,
        cards_shown.c.cited,
    )
    .join_from(feedback, cards_shown)
    .order_by(feedback.c.outcome_timestamp, feedback.c.id)
)
_ANSWERS = _REPORTED.where(*_OF_PATIENT)
_ABOUT_CARD = _REPORTED.where(feedback.c.card == bindparam("of_card"))
