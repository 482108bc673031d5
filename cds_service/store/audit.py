"""What was answered to whom, as a keyed chain that shows every change: no patient, no chart, no token in it (P-33).

Each entry's seal is an HMAC over the seal before it and all of the entry, with a key that is kept outside the database.
Whoever changes, removes or inserts an entry without that key breaks the chain. A cut at its end shows against the head
that is logged every minute and at stop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, delete, func, select, text

from cds_service.store.connection import or_unavailable, writing
from cds_service.store.fingerprint import fingerprint
from cds_service.store.schema import audit, audit_checkpoints

_START = "start"
_PAGE = 1_000


class Head(NamedTuple):
    """The newest entry: its number and seal."""

    number: int
    seal: str


class Entry(NamedTuple):
    """One thing that happened. ``what``: call, feedback, switch or rules; ``said`` is JSON."""

    number: int
    at: datetime
    what: str
    client: str
    said: str
    seal: str


class Verified(NamedTuple):
    """How many entries stand in an unbroken chain from ``first``, the head, and the first thing that is wrong."""

    entries: int
    first: int
    head: Head
    problem: str | None


def append(connection: Connection, key: bytes, entry: tuple[datetime, str, str, Mapping[str, Any]]) -> Head:
    """Add an entry (when, what, client, said) inside a transaction that may write."""
    at, what, client, said = entry
    if connection.dialect.name == "postgresql":  # SQLite gave the right to write to us alone
        connection.execute(text("LOCK TABLE audit IN EXCLUSIVE MODE"))
    number, before = _head(connection, key)
    written = msgspec.json.encode(said, order="deterministic").decode()
    made = Entry(number + 1, at, what, client, written, "")
    head = Head(made.number, _seal(key, before, made))
    connection.execute(audit.insert(), made._replace(seal=head.seal)._asdict())
    return head


def head_of(engine: Engine, key: bytes) -> Head:
    """The newest entry of all processes."""
    with or_unavailable(), engine.connect() as connection:
        return _head(connection, key)


def entries(engine: Engine) -> Iterator[Entry]:
    """All entries, oldest first."""
    last = 0
    with or_unavailable(), engine.connect() as connection:
        while rows := connection.execute(_FOLLOWING, {"after": last}).all():
            for row in rows:
                yield Entry(*row)
            last = rows[-1].number


def verify(engine: Engine, key: bytes, logged: Head | None = None) -> Verified:
    """Walk the chain. ``logged``: a head that the log showed; it must still be there, with the same seal."""
    with or_unavailable(), engine.connect() as connection:
        before = _checkpoint(connection, key)
    count, first, head = 0, before.number + 1, before
    for entry in entries(engine):
        if entry.number != head.number + 1:
            return Verified(count, first, head, f"entry {head.number + 1} is missing")
        if _seal(key, head.seal, entry) != entry.seal:
            return Verified(count, first, head, f"entry {entry.number} was changed")
        count, head = count + 1, Head(entry.number, entry.seal)
        if logged and logged.number == entry.number and logged.seal != entry.seal:
            return Verified(count, first, head, f"entry {entry.number} is not the one that was logged")
    if logged and logged.number > head.number:
        return Verified(count, first, head, f"entries after {head.number} are missing: {logged.number} was logged")
    return Verified(count, first, head, None)


def purge(engine: Engine, key: bytes, older_than: datetime, now: datetime) -> int:
    """Remove entries from before a moment and leave a sealed checkpoint in their place. How many were removed."""
    with or_unavailable(), writing(engine) as connection:
        newest = connection.execute(select(func.max(audit.c.number)).where(audit.c.at < older_than)).scalar()
        if newest is None:
            return 0
        seal = connection.execute(select(audit.c.seal).where(audit.c.number == newest)).scalar_one()
        removed: int = connection.execute(delete(audit).where(audit.c.number <= newest)).rowcount
        connection.execute(
            audit_checkpoints.insert(),
            {"number": newest, "seal": seal, "at": now, "proof": _proof(key, newest, seal)},
        )
        return removed


def _head(connection: Connection, key: bytes) -> Head:
    row = connection.execute(_NEWEST).first()
    return Head(row.number, row.seal) if row else _checkpoint(connection, key)


def _checkpoint(connection: Connection, key: bytes) -> Head:
    """What stands before the oldest entry: the newest checkpoint with a proof of ours, or the start."""
    for row in connection.execute(select(audit_checkpoints).order_by(audit_checkpoints.c.number.desc())):
        if _proof(key, row.number, row.seal) == row.proof:
            return Head(row.number, row.seal)
    return Head(0, fingerprint(key, "audit", _START))


def _seal(key: bytes, before: str, entry: Entry) -> str:
    at = entry.at.astimezone(UTC).isoformat()
    return fingerprint(key, "audit", before, str(entry.number), at, entry.what, entry.client, entry.said)


def _proof(key: bytes, number: int, seal: str) -> str:
    return fingerprint(key, "audit-checkpoint", str(number), seal)


_NEWEST = select(audit.c.number, audit.c.seal).order_by(audit.c.number.desc()).limit(1)
_FOLLOWING = (
    select(audit.c.number, audit.c.at, audit.c.what, audit.c.client, audit.c.said, audit.c.seal)
    .where(audit.c.number > text(":after"))
    .order_by(audit.c.number)
    .limit(_PAGE)
)
