"""The databases on which the service must behave alike: an SQLite file, and a real PostgreSQL where there is one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests import postgresql

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgresql_address() -> Iterator[str]:
    if postgresql.program("postgres") is None:
        if postgresql.REQUIRED:
            pytest.fail(postgresql.NOT_FOUND)
        pytest.skip(postgresql.NOT_FOUND)
    with postgresql.postgresql() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/var/cds.db"
    address: str = request.getfixturevalue("postgresql_address")
    name = f"cds{next(_numbers)}"
    server = create_engine(address.format(name="postgres"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    server.dispose()
    return address.format(name=name)
