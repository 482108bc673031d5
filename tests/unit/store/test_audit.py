"""P-33: the audit is a keyed chain; whatever is changed in it shows, a purge leaves a proof, no patient is in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from cds_service.store import Store
from cds_service.store.audit import Head
from tests.http.stand_in import CARD, NOW, Shown
from tests.unit.store.conftest import OpenStore

Alter = Callable[[str], None]
SAID = {"hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea", "fired": ["steroid-myopathy"]}


def write(store: Store, number: int = 5, days_ago: int = 0) -> None:
    for _ in range(number):
        store.note_shown("ehr", "patient", [], NOW - timedelta(days=days_ago), SAID)


@pytest.fixture
def alter(database_url: str) -> Alter:
    """Changes the database behind the store's back."""

    def alter(statement: str) -> None:
        engine = create_engine(database_url)
        with engine.begin() as connection:
            connection.execute(text(statement))
        engine.dispose()

    return alter


def test_an_empty_audit_is_whole(store: Store) -> None:
    assert store.verify_audit()[:2] == (0, 1)


def test_every_answer_and_every_feedback_is_an_entry(store: Store) -> None:
    store.note_shown("ehr", "patient", [Shown(CARD)], NOW, SAID)
    store.record_feedback("ehr", [], NOW)
    assert [(entry.number, entry.what, entry.client) for entry in store.audit_entries()] == [
        (1, "call", "ehr"),
        (2, "feedback", "ehr"),
    ]
    assert store.verify_audit().problem is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("UPDATE audit SET said = '{}' WHERE number = 3", "entry 3 was changed"),
        ("UPDATE audit SET client = 'other' WHERE number = 3", "entry 3 was changed"),
        ("UPDATE audit SET what = 'switch' WHERE number = 3", "entry 3 was changed"),
        ("UPDATE audit SET at = '2020-01-01 00:00:00' WHERE number = 3", "entry 3 was changed"),
        ("DELETE FROM audit WHERE number = 3", "entry 3 is missing"),
        ("DELETE FROM audit WHERE number = 1", "entry 1 is missing"),
        ("UPDATE audit SET number = 9 WHERE number = 3", "entry 3 is missing"),
        (
            "INSERT INTO audit SELECT 6, at, what, client, said, seal FROM audit WHERE number = 5",
            "entry 6 was changed",
        ),
    ],
)
def test_a_change_shows(store: Store, alter: Alter, change: str, problem: str) -> None:
    write(store)
    assert store.verify_audit().problem is None
    alter(change)
    assert store.verify_audit().problem == problem


def test_entries_that_changed_places_show(store: Store, alter: Alter) -> None:
    write(store)
    for statement in (
        "SET number = 99 WHERE number = 2",
        "SET number = 2 WHERE number = 3",
        "SET number = 3 WHERE number = 99",
    ):
        alter(f"UPDATE audit {statement}")
    assert store.verify_audit().problem == "entry 2 was changed"


def test_a_cut_at_the_end_shows_against_the_head_that_was_logged(store: Store, alter: Alter) -> None:
    write(store)
    logged = store.audit_head
    assert logged is not None
    assert store.verify_audit(logged).problem is None
    alter("DELETE FROM audit WHERE number = 5")
    assert store.verify_audit().problem is None  # without the log nobody could know
    assert store.verify_audit(logged).problem == "entries after 4 are missing: 5 was logged"
    write(store, 1, days_ago=1)
    assert store.verify_audit(logged).problem == "entry 5 is not the one that was logged"


def test_with_another_key_nothing_holds(store: Store, open_store: OpenStore, tmp_path: Path) -> None:
    """Whoever writes the database but not the key cannot make a chain."""
    write(store)
    (tmp_path / "cds.key").write_text("ab" * 32)
    assert open_store().verify_audit().problem == "entry 1 was changed"


def test_a_purge_leaves_a_proof_of_what_it_removed(store: Store, alter: Alter) -> None:
    write(store, 3, days_ago=800)
    write(store, 2)
    assert store.purge(NOW - timedelta(days=730), NOW)["audit"] == 3
    found = store.verify_audit()
    assert (found.entries, found.first, found.problem) == (2, 4, None)
    write(store, 1)
    assert store.verify_audit().entries == 3
    alter("DELETE FROM audit_checkpoints")
    assert store.verify_audit().problem == "entry 1 is missing"


def test_a_purge_of_everything_goes_on_where_it_was(store: Store) -> None:
    write(store, 3, days_ago=800)
    store.purge(NOW - timedelta(days=730), NOW)
    assert store.verify_audit()[:2] == (0, 4)
    write(store, 2)
    assert [entry.number for entry in store.audit_entries()] == [4, 5]
    assert store.verify_audit().problem is None


def test_a_checkpoint_without_the_key_is_no_proof(store: Store, alter: Alter) -> None:
    write(store)
    alter("INSERT INTO audit_checkpoints SELECT 2, seal, at, 'made up' FROM audit WHERE number = 2")
    alter("DELETE FROM audit WHERE number <= 2")
    assert store.verify_audit().problem == "entry 1 is missing"


def test_purge_removes_what_was_kept_long_enough_and_nothing_else(store: Store) -> None:
    store.note_shown("ehr", "patient", [Shown(CARD)], NOW - timedelta(days=800))
    store.note_shown("ehr", "patient", [Shown("11111111-1111-4111-8111-111111111111")], NOW)
    store.first_use("issuer", "old", NOW - timedelta(seconds=1))
    store.first_use("issuer", "new", NOW + timedelta(hours=1))
    store.calls_in_minute("ehr", NOW - timedelta(hours=2))
    store.calls_in_minute("ehr", NOW)
    gone = store.purge(NOW - timedelta(days=730), NOW)
    assert gone == {
        "feedback": 0,
        "cards_shown": 1,
        "token_ids": 1,
        "calls": 1,
        "rule_days": 0,
        "counted_cards": 0,
        "audit": 0,
    }
    assert store.first_use("issuer", "new", NOW) is False
    assert store.calls_in_minute("ehr", NOW) == 2


def test_several_processes_write_one_chain(store: Store, open_store: OpenStore) -> None:
    other = open_store()
    for _ in range(5):
        write(store, 1)
        write(other, 1)
    assert store.verify_audit()[:2] == (10, 1)
    assert store.verify_audit(Head(10, "x")).problem == "entry 10 is not the one that was logged"
