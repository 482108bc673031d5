"""Stores on each kind of database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cds_service.store import Store

OpenStore = Callable[..., Store]


@pytest.fixture
def open_store(database_url: str, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens stores on this test's database, all with one key."""
    opened: list[Store] = []

    def open_store(*, keep_comments: bool = False) -> Store:
        opened.append(Store(database_url, key_file=tmp_path / "cds.key", keep_comments=keep_comments))
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    """A store whose tables are made."""
    store = open_store()
    store.migrate()
    return store
