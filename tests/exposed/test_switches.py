"""B-52: a switch acts within 5 seconds in every worker, without a restart; both workers are asked all the time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cds_service.store import EVERY, Store, Switch
from tests.exposed.processes import Running, about, ask, command, serving, status_of
from tests.http.stand_in import CALL

ADA = "ada-steroid-myopathy"
RULE = "steroid-myopathy"
WITHIN = 5.0  # seconds
ASKED_FOR = 8.0
FIRED, OFF = "fired", "suppressed"


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[tuple[Running, Running]]:
    """Two worker processes, each behind a gunicorn of its own so that it is known which one answers; one store."""
    with serving(tmp_path, "--open") as first, serving(tmp_path, "--open") as second:
        yield first, second


class Asking:
    """Asks one worker without a pause and keeps what it said of the rule, and when it was asked."""

    def __init__(self, worker: Running) -> None:
        self.said: list[tuple[float, str]] = []
        self._worker = worker
        self._body = about(ADA)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        while not self._end.is_set():
            asked = time.monotonic()
            self.said.append((asked, status_of(ask(self._worker.url + CALL, self._body), RULE)[0]))
            time.sleep(0.02)

    def end(self) -> None:
        self._end.set()
        self._thread.join(30)

    def lag(self, turned: float, new: str) -> float:
        """Seconds from the turn to the last answer that did not obey; every one after ``WITHIN`` obeyed."""
        after = [(asked - turned, status) for asked, status in self.said if asked >= turned]
        assert sum(at > WITHIN for at, _ in after) >= 10, "the worker was not asked after the time"
        assert {status for at, status in after if at > WITHIN} == {new}
        return max((at for at, status in after if status != new), default=0.0)


def turned(folder: Path, state: str, **which: str) -> float:
    """Turn the switch as the command does, and say when it was done."""
    store = Store(f"sqlite:///{folder}/cds.db")
    switch = Switch(which.get("rule", RULE), which.get("client", EVERY), state, "operator", "a test", datetime.now(UTC))
    assert store.governance.turn(switch)
    store.close()
    return time.monotonic()


def test_every_answer_after_5_seconds_obeys_in_both_workers(tmp_path: Path, workers: tuple[Running, Running]) -> None:
    """Off and on again."""
    for state, new in (("off", OFF), ("on", FIRED)):
        asking = [Asking(worker) for worker in workers]
        time.sleep(1)
        at = turned(tmp_path, state)
        time.sleep(ASKED_FOR)
        for one in asking:
            one.end()
        assert max(one.lag(at, new) for one in asking) <= WITHIN
        assert all({FIRED, OFF} == {status for _, status in one.said} for one in asking)


def test_the_command_turns_it_and_the_answer_and_the_audit_say_so(
    tmp_path: Path, workers: tuple[Running, Running]
) -> None:
    body = about(ADA)
    assert [status_of(ask(worker.url + CALL, body), RULE)[0] for worker in workers] == [FIRED, FIRED]
    assert "off" in command(tmp_path, "switch", "off", "rule", RULE, "--client", "open", "--reason", "it misfires")
    time.sleep(WITHIN)
    for worker in workers:
        assert status_of(ask(worker.url + CALL, body), RULE) == (OFF, "switched-off")
    assert "it misfires" in command(tmp_path, "switch", "list")
    store = Store(f"sqlite:///{tmp_path}/cds.db")
    assert [entry.client for entry in store.audit_entries() if entry.what == "switch"] == ["open"]
    assert store.verify_audit().problem is None
    store.close()
    command(tmp_path, "switch", "on", "rule", RULE, "--client", "open", "--reason", "repaired")
    command(tmp_path, "switch", "off", "client", "open", "--reason", "all of it")
    time.sleep(WITHIN)
    for worker in workers:
        answer = ask(worker.url + CALL, body)
        assert answer["cards"] == []
        assert status_of(answer, "falls") == (OFF, "switched-off")


def test_what_was_counted_is_kept_when_a_worker_ends(tmp_path: Path) -> None:
    """B-52: rule by day, and nothing else."""
    with serving(tmp_path, "--open") as running:
        for _ in range(3):
            ask(running.url + CALL, about(ADA))
    store = Store(f"sqlite:///{tmp_path}/cds.db")
    counted = {day.rule: day for day in store.governance.rule_days(datetime.now(UTC).date() - timedelta(days=1))}
    store.close()
    assert (counted[RULE].client, counted[RULE].evaluations, counted[RULE].firings) == ("open", 3, 3)
    assert (counted["falls"].evaluations, counted["falls"].firings) == (3, 0)


def test_a_switch_outlives_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path, "--open") as before:
        assert status_of(ask(before.url + CALL, about(ADA)), RULE)[0] == FIRED
        turned(tmp_path, "off")
        before.kill()
    with serving(tmp_path, "--open") as after:
        assert status_of(ask(after.url + CALL, about(ADA)), RULE)[0] == OFF
