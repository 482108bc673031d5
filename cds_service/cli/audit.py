"""``atrophy-cds audit verify`` and ``purge``: whether the audit is whole, and the end of what is kept (P-33)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from cds_service.cli.replay import replay
from cds_service.errors import SettingsError
from cds_service.settings import Settings
from cds_service.store import Store, open_store
from cds_service.store.audit import Head

BROKEN = 1


def verify(head: str | None, request: Path | None) -> int:
    """Print whether the chain is whole, and whether a replayed request gives the cards of its entry. 0, or 1."""
    with _store() as store:
        found = store.verify_audit(_head_written(head))
        newest = f"head {found.head.number}:{found.head.seal}"
        if found.problem:
            click.echo(f"BROKEN: {found.problem}. {found.entries} entries from {found.first} hold.", err=True)
            return BROKEN
        click.echo(f"{found.entries} entries from {found.first}, unbroken; {newest}")
        return replay(store, request) if request else 0


def purge(days: int | None) -> int:
    """Remove what is older than so many days (the setting's, unless given) and what has expired."""
    settings = Settings.from_environment()
    kept = settings.retention_days if days is None else days
    now = datetime.now(UTC)
    with _store() as store:
        gone = store.purge(now - timedelta(days=kept), now)
    click.echo(f"older than {kept} days: " + ", ".join(f"{number} {table}" for table, number in gone.items()))
    return 0


@contextmanager
def _store() -> Iterator[Store]:
    with closing(open_store(Settings.from_environment())) as store:
        yield store


def _head_written(text: str | None) -> Head | None:
    if text is None:
        return None
    number, _, seal = text.partition(":")
    if not number.isdecimal() or not seal:
        raise SettingsError("--head is a number, a colon and a seal, as the log shows them.")
    return Head(int(number), seal)
