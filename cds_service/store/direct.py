"""The two statements of every call, straight on SQLite's own connection: in a third of the time that SQLAlchemy takes.

The statements are still SQLAlchemy's, compiled once. PostgreSQL goes without: there the network takes longer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from threading import Lock
from typing import Any

from sqlalchemy import Engine, Executable
from sqlalchemy.dialects import sqlite

from cds_service.errors import StoreUnavailable
from cds_service.store.connection import BUSY_TIMEOUT_MS, or_unavailable
from cds_service.store.schema import UtcDateTime

_DIALECT = sqlite.dialect(paramstyle="named")
_MOMENT = UtcDateTime().bind_processor(_DIALECT)


class DirectStatement:
    """One statement on the kept connections of an engine. Raises StoreUnavailable when the database is in trouble."""

    def __init__(self, engine: Engine, statement: Executable) -> None:
        self._engine = engine
        self._text = str(statement.compile(dialect=_DIALECT))  # type: ignore[attr-defined]  # queries and inserts do
        self._turn = Lock()

    def finds_anything(self, values: Mapping[str, str]) -> bool:
        """Whether a query has a row."""
        with or_unavailable(), closing(self._engine.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute(self._text, values)
            return cursor.fetchone() is not None

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """All rows or none. Begins as ``connection.writing`` does; what was not committed is rolled back at the end.

        The threads of one process take turns: SQLite lets one write at a time, and those that it makes wait sleep for
        milliseconds where a lock wakes them at once.
        """
        if not self._turn.acquire(timeout=BUSY_TIMEOUT_MS["NORMAL"] / 1000):
            raise StoreUnavailable("The store is busy.")
        try:
            with or_unavailable(), closing(self._engine.raw_connection()) as connection:
                cursor = connection.cursor()
                cursor.execute("BEGIN IMMEDIATE")
                cursor.executemany(self._text, rows)
                connection.commit()
        finally:
            self._turn.release()


def moment_as_kept(moment: datetime) -> Any:
    """As the tables hold it: SQLAlchemy would do this by itself."""
    return _MOMENT(moment) if _MOMENT is not None else moment
