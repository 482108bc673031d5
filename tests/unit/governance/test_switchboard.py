"""What is switched off is looked up at most every two seconds; a store in trouble changes nothing."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from cds_service.errors import StoreUnavailable
from cds_service.governance.switchboard import Switchboard
from cds_service.store import EVERY, Switch

NOW = datetime(2026, 11, 27, 10, tzinfo=UTC)
RULES = frozenset({"falls", "malnutrition"})
FALLS = Switch("falls", EVERY, "off", "operator", "secret words of an operator", NOW)


class Rows:
    """Switches as a store would give them, and a clock."""

    def __init__(self, *rows: Switch) -> None:
        self.rows = rows
        self.looks = 0
        self.now = 0.0
        self.broken = False
        self.board = Switchboard(self.read, lambda: self.now)

    def read(self) -> tuple[Switch, ...]:
        self.looks += 1
        if self.broken:
            raise StoreUnavailable("no")
        return self.rows


def test_the_store_is_looked_at_every_two_seconds_and_no_oftener() -> None:
    rows = Rows()
    for rows.now in (0, 0.5, 1.9):
        assert rows.board.off("ehr", RULES) == {}
    assert rows.looks == 1
    rows.rows = (FALLS,)
    assert rows.board.off("ehr", RULES) == {}
    rows.now = 2.0
    assert rows.board.off("ehr", RULES) == {"falls": "switched-off"}
    assert rows.looks == 2


def test_before_anything_is_known_every_call_waits_for_it() -> None:
    """A worker that has just started must not ask a rule because another thread is still looking."""
    reading, read_on = threading.Event(), threading.Event()

    def read() -> tuple[Switch, ...]:
        reading.set()
        assert read_on.wait(10)
        return (FALLS,)

    board = Switchboard(read)
    with ThreadPoolExecutor(2) as calls:
        first = calls.submit(board.off, "ehr", RULES)
        assert reading.wait(10)
        second = calls.submit(board.off, "ehr", RULES)
        time.sleep(0.1)
        assert not second.done()
        read_on.set()
        assert first.result(10) == second.result(10) == {"falls": "switched-off"}


def test_an_operator_s_words_are_not_in_the_answer_a_trip_s_are() -> None:
    trip = FALLS._replace(
        client="ehr", rule="malnutrition", cause="firing", reason="fired in 30.0 % of 200 evaluations"
    )
    off = Rows(FALLS, trip).board.off("ehr", RULES)
    assert off == {"falls": "switched-off", "malnutrition": "tripped: fired in 30.0 % of 200 evaluations"}


def test_only_its_own_client_and_every_rule_of_a_client() -> None:
    rows = Rows(FALLS._replace(client="other"), FALLS._replace(rule=EVERY, client="closed"))
    assert rows.board.off("ehr", RULES) == {}
    assert set(rows.board.off("other", RULES)) == {"falls"}
    assert set(rows.board.off("closed", RULES)) == RULES


def test_what_is_on_again_is_asked() -> None:
    assert Rows(FALLS._replace(state="on")).board.off("ehr", RULES) == {}


def test_a_store_in_trouble_leaves_off_what_is_off() -> None:
    rows = Rows(FALLS)
    assert set(rows.board.off("ehr", RULES)) == {"falls"}
    rows.broken, rows.now = True, 10
    assert set(rows.board.off("ehr", RULES)) == {"falls"}
    assert rows.board.off("ehr", RULES)
    assert rows.looks == 2
