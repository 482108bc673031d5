"""The store: notes the cards shown, takes feedback about them, and remembers both across restarts."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import msgspec
from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from cds_service.cds_hooks.feedback import FeedbackItem
from cds_service.errors import SettingsError, StoreUnavailable
from cds_service.fhir.versions import ResourceVersion
from cds_service.rule_engine.trace import CardTrace
from cds_service.settings import Settings
from cds_service.store import audit, governance
from cds_service.store import connection as database
from cds_service.store.explained import KeptCard, kept_card
from cds_service.store.fingerprint import fingerprint, read_or_make_key
from cds_service.store.governance import AuditEntry, GovernanceStore
from cds_service.store.memory import Answer, PatientMemory, reported_about
from cds_service.store.outcomes import CardOutcome, outcomes
from cds_service.store.schema import calls, cards_shown, feedback, token_ids

_MINUTES_KEPT = 60  # of the counts of calls
TURN_SECONDS = 0.2  # P-10: a call does not wait longer for its turn to write
_CHUNK = 500  # cards asked for at once: SQLite limits the number of variables in a statement


class ShownCard(Protocol):
    """What the store keeps of a card. Evidence is kept only as keyed fingerprints (P-33, B-51)."""

    @property
    def uuid(self) -> str: ...
    @property
    def rules(self) -> Sequence[tuple[str, str]]:
        """Id and version of every rule on the card."""

    @property
    def evidence(self) -> Sequence[tuple[str, str]]:
        """Per rule its id and what B-51 says identifies its evidence, as one text."""

    @property
    def indicator(self) -> str: ...
    @property
    def suggestions(self) -> Mapping[str, str]:
        """The uuid of each suggestion and the key of its order."""

    @property
    def cited(self) -> Sequence[ResourceVersion]:
        """The resources that the card cites, as they were read."""

    @property
    def trace(self) -> CardTrace | None:
        """Why it was shown; its facts are kept only as keyed fingerprints."""


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
        # Cards may be lost when the power fails, answers may not (P-36): so a call does not wait for the disk.
        in_memory = file is None and address.get_backend_name() == "sqlite"
        self._calls = self._engine if in_memory else database.open_engine(address, "NORMAL")
        self._turn = Lock()
        self._key = read_or_make_key(key_file)
        self._keep_comments = keep_comments
        self._head: audit.Head | None = None
        self.governance = GovernanceStore((self._engine, self._calls), self._own_turn, self._audit)
        dialect = sqlite if address.get_backend_name() == "sqlite" else postgresql
        # What comes back was new: PostgreSQL's driver does not count rows that were there already.
        self._add_feedback = dialect.insert(feedback).on_conflict_do_nothing().returning(feedback.c.id)
        self._add_token_id = dialect.insert(token_ids).on_conflict_do_nothing().returning(token_ids.c.token_id)
        self._count_call = (
            dialect.insert(calls)
            .on_conflict_do_update(index_elements=["client", "minute"], set_={"number": calls.c.number + 1})
            .returning(calls.c.number)
        )

    def migrate(self) -> None:
        """Bring the tables to the newest revision. Called once at start."""
        database.migrate(self._engine)

    def close(self) -> None:
        """Give back every connection."""
        self._engine.dispose()
        self._calls.dispose()

    def fingerprint(self, *parts: str) -> str:
        """A keyed fingerprint of texts, the same wherever the key is the same (P-33)."""
        return fingerprint(self._key, *parts)

    def memory(self, client: str, fhir_base: str, patient_id: str, until: datetime | None = None) -> PatientMemory:
        """What this client was shown about a patient and what it answered, up to a moment (None: until now).

        Nothing is read before it is asked.
        """
        return PatientMemory(self._calls, self.fingerprint, client, self.fingerprint(fhir_base, patient_id), until)

    def note_shown(
        self,
        client: str,
        patient: str,
        cards: Sequence[ShownCard],
        shown_at: datetime,
        said: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep the cards of one answer, before it is given. ``patient`` is the fingerprint of its memory.

        ``said`` is what the audit keeps of the call, nothing of a patient among it; without it nothing is audited.
        The threads of one process take turns: SQLite makes those that wait sleep, where a lock wakes them at once.
        Raises StoreUnavailable when the turn does not come within 0.2 s or the database stays busy for as long.
        """
        if not cards and said is None:
            return
        rows = [
            {
                "card": card.uuid,
                "client": client,
                "patient": patient,
                "rules": _json(card.rules),
                "evidence": _json([self.fingerprint(rule_id, text) for rule_id, text in card.evidence]),
                "indicator": card.indicator,
                "suggestions": _json(card.suggestions),
                "shown_at": shown_at,
                "cited": _json([self.fingerprint(patient, *version) for version in card.cited]),
                "trace": None if card.trace is None else _json(card.trace.keyed(self.fingerprint)),
            }
            for card in cards
        ]
        with self._own_turn() as connection:
            if rows:
                connection.execute(_NOTE_SHOWN, rows)
            if said is not None:
                self._audit(connection, (shown_at, "call", client, said))

    def first_use(self, issuer: str, jti: str, until: datetime) -> bool:
        """Whether a token's id was not used before; from now on it was, for all processes (P-34).

        ``until``: when the token can no longer be accepted. Raises StoreUnavailable.
        """
        row = {"token_id": self.fingerprint(issuer, jti), "expires_at": until}
        with self._own_turn() as connection:
            return connection.execute(self._add_token_id, row).first() is not None

    def calls_in_minute(self, client: str, now: datetime) -> int:
        """How often this client has called in this minute, with this call, at all processes (T30).

        Raises StoreUnavailable.
        """
        row = {"client": client, "minute": int(now.timestamp()) // 60, "number": 1}
        with self._own_turn() as connection:
            number: int = connection.execute(self._count_call, row).scalar_one()
        return number

    def _audit(self, connection: Connection, entry: AuditEntry) -> None:
        self._head = audit.append(connection, self._key, entry)

    @contextmanager
    def _own_turn(self) -> Iterator[Connection]:
        if not self._turn.acquire(timeout=TURN_SECONDS):
            raise StoreUnavailable("The store is busy.")
        try:
            with database.or_unavailable(), database.writing(self._calls) as connection:
                yield connection
        finally:
            self._turn.release()

    def record_feedback(self, client: str, items: Sequence[FeedbackItem], received_at: datetime) -> dict[str, int]:
        """Keep what is new about cards that this client was shown; all of it or, when the database fails, nothing.

        Counts what was ``stored``, what was ``repeated`` and had no effect, and what was about a card ``unknown`` to
        this client (P-22).
        """
        with database.or_unavailable(), database.writing(self._engine) as connection:
            shown = _suggestions_of_cards(connection, client, {item.card for item in items})
            known = [item for item in items if item.card in shown]
            rows = [self._row(client, item, shown[item.card], received_at) for item in known]
            stored = len(connection.execute(self._add_feedback, rows).all()) if rows else 0
            counts = {"stored": stored, "repeated": len(known) - stored, "unknown": len(items) - len(known)}
            self._audit(connection, (received_at, "feedback", client, counts))
        return counts

    @property
    def audit_head(self) -> audit.Head | None:
        """The newest entry of the audit that this process wrote."""
        return self._head

    def verify_audit(self, logged: audit.Head | None = None) -> audit.Verified:
        """Walk the audit chain; see :func:`audit.verify`."""
        return audit.verify(self._engine, self._key, logged)

    def audit_entries(self) -> Iterator[audit.Entry]:
        """All entries of the audit, oldest first."""
        return audit.entries(self._engine)

    def purge(self, before: datetime, now: datetime) -> dict[str, int]:
        """Remove what is older than a moment, and what has expired; how many rows of each table went."""
        minute = int(now.timestamp()) // 60 - _MINUTES_KEPT
        with database.or_unavailable(), database.writing(self._engine) as connection:
            old = select(cards_shown.c.card).where(cards_shown.c.shown_at < before)
            gone = {
                "feedback": connection.execute(delete(feedback).where(feedback.c.card.in_(old))).rowcount,
                "cards_shown": connection.execute(delete(cards_shown).where(cards_shown.c.shown_at < before)).rowcount,
                "token_ids": connection.execute(delete(token_ids).where(token_ids.c.expires_at < now)).rowcount,
                "calls": connection.execute(delete(calls).where(calls.c.minute < minute)).rowcount,
                **governance.purge(connection, before, now),
            }
        return {**gone, "audit": audit.purge(self._engine, self._key, before, now)}

    def shown_card(self, client: str, card: str) -> KeptCard | None:
        """A card that this client was shown, and why; None for any other, also after a purge."""
        return kept_card(self._engine, client, card)

    def feedback_about(self, card: str) -> tuple[Answer, ...]:
        """Everything that was reported about one card, oldest first."""
        return reported_about(self._engine, card)

    def outcomes(self, since: datetime | None) -> Iterator[CardOutcome]:
        """What became of every card that was shown since a moment (None: ever). Raises StoreUnavailable."""
        return outcomes(self._engine, since)

    def _row(
        self, client: str, item: FeedbackItem, suggestions: Mapping[str, str], received_at: datetime
    ) -> dict[str, Any]:
        comment = html.escape(item.comment) if self._keep_comments and item.comment else None  # T20: stored escaped
        return {
            "card": item.card,
            "client": client,
            "outcome": item.outcome,
            "outcome_timestamp": item.outcome_timestamp,
            "received_at": received_at,
            "accepted": _json([uuid for uuid in item.accepted_suggestions if uuid in suggestions]),
            "reason_code": item.reason_code,
            "reason_system": item.reason_system,
            "comment": comment,
        }


def open_store(settings: Settings) -> Store:
    """The store of these settings, its tables up to date."""
    store = Store(settings.database_url, key_file=settings.key_file, keep_comments=settings.keep_comments)
    store.migrate()
    return store


_NOTE_SHOWN = cards_shown.insert()


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


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
