"""Opens the database so that many threads and processes can write without losing anything, and keeps its tables new."""

from __future__ import annotations

import functools
import os
import sqlite3
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from cds_service.errors import SettingsError, StoreUnavailable

BUSY_TIMEOUT_MS = {"FULL": 5000, "NORMAL": 200}  # feedback may wait for a writer, a call may not (P-10)
_MIGRATIONS = Path(__file__).parent / "migrations"
_WAL_PAUSE_SECONDS = 0.01
_CONNECT_SECONDS = 2  # the least that PostgreSQL's client library knows
_MIGRATION_LOCK = 0x41435244  # any number of our own: PostgreSQL's advisory lock while tables change


def parse_url(url: str) -> URL:
    """The address of the database; :class:`SettingsError` unless it is SQLite or PostgreSQL."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError("ATROPHY_CDS_DATABASE_URL is not a database URL.") from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise SettingsError("ATROPHY_CDS_DATABASE_URL must name SQLite or PostgreSQL.")
    return parsed


def sqlite_file(url: URL) -> Path | None:
    """The file of an SQLite database; None for PostgreSQL and for a database in memory."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database))


def open_engine(url: URL, synchronous: Literal["FULL", "NORMAL"] = "FULL") -> Engine:
    """An engine with kept connections. A folder and file that do not exist are made, for their owner only.

    With ``NORMAL`` it is for calls: nothing waits longer than a call may. SQLite: with ``FULL`` a commit survives a
    power failure, with ``NORMAL`` only the end of the process, which spares a call the wait for the disk.
    """
    opened = _open_sqlite if url.get_backend_name() == "sqlite" else _open_postgresql
    engine = opened(url, synchronous)
    if hasattr(os, "register_at_fork"):
        _forget_connections_of_the_parent(weakref.ref(engine))
    return engine


@contextmanager
def or_unavailable() -> Iterator[None]:
    """Any trouble of the database as StoreUnavailable, without its words: they may hold values."""
    try:
        yield
    except SQLAlchemyError:
        raise StoreUnavailable("The store cannot be used now.") from None


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that holds the right to write from its first statement, committed at the end.

    SQLite would otherwise give it only at the first write, and refuses it when another process wrote in between.
    """
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the tables to the newest revision, or to one; a second process doing the same waits and finds it done."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def _open_sqlite(url: URL, synchronous: str) -> Engine:
    file = sqlite_file(url)
    if file is None:  # in memory: one connection, or every thread would see a database of its own
        engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    else:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600, exist_ok=True)
        seconds = BUSY_TIMEOUT_MS[synchronous] / 1000
        engine = create_engine(
            url, connect_args={"timeout": seconds}, pool_timeout=seconds, pool_size=16, max_overflow=16
        )
    event.listen(engine, "connect", functools.partial(_set_up_sqlite, synchronous))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(synchronous: str, connection: Any, _record: object) -> None:
    """WAL lets readers go on while one writes; FULL keeps what was answered even when the power fails (P-36)."""
    connection.isolation_level = None  # the driver starts no transactions by itself: _begin_sqlite does
    _write_ahead(connection, BUSY_TIMEOUT_MS[synchronous] / 1000)
    for pragma in (f"synchronous = {synchronous}", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS[synchronous]}")


def _write_ahead(connection: Any, seconds: float) -> None:
    """Workers that start together all switch a new file to WAL, and there SQLite heeds no busy timeout: try again."""
    give_up = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up:
                raise
            time.sleep(_WAL_PAUSE_SECONDS)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _open_postgresql(url: URL, synchronous: str) -> Engine:
    wait = {"connect_timeout": _CONNECT_SECONDS}
    seconds = BUSY_TIMEOUT_MS[synchronous] / 1000
    try:
        engine = create_engine(
            url, pool_pre_ping=True, connect_args=wait, pool_timeout=seconds, pool_size=16, max_overflow=16
        )
    except (ModuleNotFoundError, NoSuchModuleError):
        raise SettingsError("PostgreSQL needs the extra `postgresql`: pip install atrophy-cds[postgresql].") from None
    event.listen(engine, "connect", functools.partial(_set_up_postgresql, synchronous))
    return engine


def _set_up_postgresql(synchronous: str, connection: Any, _record: object) -> None:
    """It would wait for ever for a lock that another session holds, and with it the call."""
    limits = ("lock_timeout", "statement_timeout") if synchronous == "NORMAL" else ("lock_timeout",)
    for limit in limits:
        connection.execute(f"SET {limit} = {BUSY_TIMEOUT_MS[synchronous]}")
    connection.commit()


def _forget_connections_of_the_parent(engine: weakref.ref[Engine]) -> None:
    """A forked worker must not speak on a connection that its parent opened."""

    def forget() -> None:
        living = engine()
        if living is not None:
            living.dispose(close=False)

    os.register_at_fork(after_in_child=forget)
