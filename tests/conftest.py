"""For all tests: the two halves of `make test`, and the databases on which the service must behave alike.

The databases are an SQLite file, and a real PostgreSQL where there is one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests import postgresql

_numbers = itertools.count()
HERE = Path(__file__).parent
# Whole processes, a real browser, waiting that is measured: these are not to compete with other tests.
ALONE = [
    HERE / name
    for name in (
        "browser", "exposed", "faults", "fuzz", "hapi", "threats",
        "http/test_size_and_kind.py", "http/test_store_trouble.py", "http/test_surface.py",
        "unit/fhir/test_client.py", "unit/test_prefetch.py",
    )
]  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--half", choices=("shared", "alone"), help="tests that share the machine, or those that may not")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    half = config.getoption("half")
    if half is not None:
        wanted = {item for item in items if any(map(item.path.is_relative_to, ALONE)) == (half == "alone")}
        config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
        items[:] = [item for item in items if item in wanted]


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
