"""The store: notes the cards shown, takes feedback about them, and tells what was answered before."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from cds_service.cds_hooks.feedback import FeedbackItem, Outcome
from cds_service.errors import SettingsError
from cds_service.store import connection as database
from cds_service.store.fingerprint import fingerprint, read_or_make_key
from cds_service.store.schema import cards_shown, feedback

_json = msgspec.json.encode
_CHUNK = 500  # cards asked for at once: SQLite limits the number of variables in a statement


class ShownCard(msgspec.Struct, frozen=True):
    """One card of one answer.

    ``patient`` and ``evidence`` are fingerprints of :meth:`Store.fingerprint`: over FHIR base and patient id, and one
    per rule on the card, over what B-51 lists. ``rules`` are pairs of id and version. ``suggestions`` maps the uuid of
    each suggestion to the key of its order.
    """

    card: str
    client: str
    patient: str
    rules: tuple[tuple[str, str], ...]
    evidence: tuple[str, ...]
    indicator: str
    shown_at: datetime
    suggestions: Mapping[str, str] = {}


class Answer(msgspec.Struct, frozen=True):
    """The latest thing a user did with a card about this evidence (A-16).

    ``at`` is when, in UTC, never later than we heard of it. ``accepted_orders`` are keys of orders.
    """

    card: str
    outcome: Outcome
    at: datetime
    reason_code: str | None = None
    reason_system: str | None = None
    accepted_orders: tuple[str, ...] = ()


class FeedbackCounts(msgspec.Struct, frozen=True):
    """What became of a batch: stored, already known (no effect), about a card this client was never shown (P-22)."""

    stored: int = 0
    repeated: int = 0
    unknown: int = 0


class Store:
    """One database. Safe for several threads, and for several processes of one machine on one SQLite file."""

    def __init__(self, url: str, *, key_file: Path | None = None, keep_comments: bool = False) -> None:
        """``key_file`` is beside the SQLite file unless given; PostgreSQL needs one (:class:`SettingsError`)."""
        address = database.parse_url(url)
        file = database.sqlite_file(address)
        if key_file is None and file is not None:
            key_file = file.with_suffix(".key")
        if key_file is None and address.get_backend_name() == "postgresql":
            raise SettingsError("ATROPHY_CDS_KEY_FILE is needed with PostgreSQL: all processes share one key.")
        self._engine = database.open_engine(address)
        self._key = read_or_make_key(key_file)
        self._keep_comments = keep_comments
        dialect = sqlite if address.get_backend_name() == "sqlite" else postgresql
        self._add_feedback = dialect.insert(feedback).on_conflict_do_nothing()

    def migrate(self) -> None:
        """Bring the tables to the newest revision. Called once at start."""
        database.migrate(self._engine)

    def close(self) -> None:
        """Give back every connection."""
        self._engine.dispose()

    def fingerprint(self, *parts: str) -> str:
        """A keyed fingerprint of texts, the same wherever the key is the same (P-33)."""
        return fingerprint(self._key, *parts)

    def note_shown(self, cards: Sequence[ShownCard]) -> None:
        """Keep the cards of one answer, before it is given."""
        if not cards:
            return
        rows = [
            {
                "card": card.card,
                "client": card.client,
                "patient": card.patient,
                "rules": _json(card.rules).decode(),
                "evidence": _json(card.evidence).decode(),
                "indicator": card.indicator,
                "suggestions": _json(card.suggestions).decode(),
                "shown_at": card.shown_at,
            }
            for card in cards
        ]
        with database.writing(self._engine) as connection:
            connection.execute(_NOTE_SHOWN, rows)

    def record_feedback(self, client: str, items: Sequence[FeedbackItem], received_at: datetime) -> FeedbackCounts:
        """Keep what is new about cards that this client was shown; all of it or, when the database fails, nothing."""
        with database.writing(self._engine) as connection:
            shown = _suggestions_of_cards(connection, client, {item.card for item in items})
            known = [item for item in items if item.card in shown]
            rows = [self._row(client, item, shown[item.card], received_at) for item in known]
            stored = connection.execute(self._add_feedback, rows).rowcount if rows else 0
        return FeedbackCounts(stored, len(known) - stored, len(items) - len(known))

    def answers_for(self, client: str, patient: str, evidence: Iterable[str]) -> dict[str, Answer]:
        """The latest answer of this client about each evidence fingerprint of a patient; those without are left out."""
        wanted = frozenset(evidence)
        answers: dict[str, Answer] = {}
        with self._engine.connect() as connection:
            rows = connection.execute(_ANSWERS, {"of_client": client, "of_patient": patient}).all()
        for row in rows:  # oldest first: a later answer replaces an earlier one
            answer = None
            for mark in msgspec.json.decode(row.evidence, type=list[str]):
                if mark in wanted:
                    answers[mark] = answer = answer or _answer(row)
        return answers

    def first_shown(self, client: str, patient: str, evidence: Iterable[str]) -> dict[str, datetime]:
        """When each evidence of a patient was first shown to this client; those never shown are left out (B-25)."""
        wanted = frozenset(evidence)
        first: dict[str, datetime] = {}
        with self._engine.connect() as connection:
            rows = connection.execute(_SHOWN, {"of_client": client, "of_patient": patient}).all()
        for row in rows:
            for mark in wanted.intersection(msgspec.json.decode(row.evidence, type=list[str])):
                first.setdefault(mark, row.shown_at)
        return first

    def feedback_about(self, card: str) -> tuple[Answer, ...]:
        """Everything that was reported about one card, oldest first."""
        with self._engine.connect() as connection:
            return tuple(map(_answer, connection.execute(_ABOUT_CARD, {"of_card": card})))

    def _row(self, client: str, item: FeedbackItem, suggestions: Mapping[str, str], received_at: datetime) -> _Row:
        comment = html.escape(item.comment) if self._keep_comments and item.comment else None  # T20: stored escaped
        return {
            "card": item.card,
            "client": client,
            "outcome": item.outcome,
            "outcome_timestamp": item.outcome_timestamp,
            "received_at": received_at,
            "accepted": _json([uuid for uuid in item.accepted_suggestions if uuid in suggestions]).decode(),
            "reason_code": item.reason_code,
            "reason_system": item.reason_system,
            "comment": comment,
        }


_Row = dict[str, Any]

_NOTE_SHOWN = cards_shown.insert()
_OF_PATIENT = (cards_shown.c.client == bindparam("of_client"), cards_shown.c.patient == bindparam("of_patient"))
_REPORTED = select(
    feedback.c.card,
    feedback.c.outcome,
    feedback.c.outcome_timestamp,
    feedback.c.received_at,
    feedback.c.reason_code,
    feedback.c.reason_system,
    feedback.c.accepted,
    cards_shown.c.suggestions,
    cards_shown.c.evidence,
).join_from(feedback, cards_shown)
_ANSWERS = _REPORTED.where(*_OF_PATIENT).order_by(feedback.c.outcome_timestamp, feedback.c.id)
_ABOUT_CARD = _REPORTED.where(feedback.c.card == bindparam("of_card")).order_by(
    feedback.c.outcome_timestamp, feedback.c.id
)
_SHOWN = select(cards_shown.c.evidence, cards_shown.c.shown_at).where(*_OF_PATIENT).order_by(cards_shown.c.shown_at)


def _suggestions_of_cards(connection: Connection, client: str, cards: set[str]) -> dict[str, dict[str, str]]:
    """Of those cards that the client was shown, the uuids of the suggestions and their order keys."""
    wanted = sorted(cards)
    found: dict[str, dict[str, str]] = {}
    for start in range(0, len(wanted), _CHUNK):
        query = select(cards_shown.c.card, cards_shown.c.suggestions).where(
            cards_shown.c.client == client, cards_shown.c.card.in_(wanted[start : start + _CHUNK])
        )
        for row in connection.execute(query):
            found[row.card] = msgspec.json.decode(row.suggestions, type=dict[str, str])
    return found


def _answer(row: Any) -> Answer:
    orders = msgspec.json.decode(row.suggestions, type=dict[str, str])
    accepted = msgspec.json.decode(row.accepted, type=list[str])
    return Answer(
        card=row.card,
        outcome=row.outcome,
        at=min(row.outcome_timestamp, row.received_at),
        reason_code=row.reason_code,
        reason_system=row.reason_system,
        accepted_orders=tuple(orders[uuid] for uuid in accepted if uuid in orders),
    )
