"""B-52: SIGHUP exchanges the rules in all workers; a folder that cannot be used leaves the old ones answering."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cds_service.rule_engine.loader import pack_hash
from cds_service.store import Store
from tests.exposed.processes import ROOT, Running, about, ask, serving, workers_of
from tests.http.stand_in import CALL

ADA = "ada-steroid-myopathy"
LONGEST = 40  # seconds for two new workers on a busy machine
BROKEN = "this is not TOML\n"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    return tmp_path / "rules"


@pytest.fixture
def running(tmp_path: Path, rules: Path) -> Iterator[Running]:
    with serving(tmp_path, "--open", "--workers", "2", ATROPHY_CDS_RULES=str(rules)) as running:
        until(lambda: len(workers_of(running)) == 2)
        ask(running.url + CALL, about(ADA))
        yield running


def until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + LONGEST
    while not holds():
        assert time.monotonic() < give_up, "it never came"
        time.sleep(0.1)


def hang_up(running: Running) -> None:
    os.kill(running.process.pid, signal.SIGHUP)


def packs(running: Running, calls: int = 12) -> set[str]:
    """The rules that so many answers came from, over new connections each."""
    body = about(ADA)
    return {ask(running.url + CALL, body)["extension"]["org.atrophy-cds.evaluation"]["rulePack"] for _ in range(calls)}


def log_lines(folder: Path, event: str) -> list[dict[str, Any]]:
    lines = [line for path in folder.glob("serve-*.log") for line in path.read_text().splitlines()]
    read = [json.loads(line) for line in lines if line.startswith("{")]
    return [line for line in read if line["event"] == event]


def change(rules: Path) -> None:
    path = rules / "bands.toml"
    path.write_text(path.read_text().replace("times_median = 3", "times_median = 4"))


def test_new_rules_answer_in_all_workers_and_no_call_is_lost(tmp_path: Path, rules: Path, running: Running) -> None:
    """Calls go on all the while; every one is answered, with the old rules or with the new ones."""
    before, old = pack_hash(rules), set(workers_of(running))
    answered: list[str] = []
    failed: list[Exception] = []
    end = threading.Event()
    body = about(ADA)

    def go_on() -> None:
        while not end.is_set():
            try:
                answer = ask(running.url + CALL, body)
                answered.append(answer["extension"]["org.atrophy-cds.evaluation"]["rulePack"])
            except OSError as error:
                failed.append(error)

    threads = [threading.Thread(target=go_on, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    change(rules)
    after = pack_hash(rules)
    hang_up(running)
    until(lambda: old.isdisjoint(workers_of(running)) and len(workers_of(running)) == 2)
    end.set()
    for thread in threads:
        thread.join(30)
    assert failed == []
    assert set(answered) <= {before, after}
    assert before in answered
    assert packs(running) == {after}
    assert [(line["before"], line["after"]) for line in log_lines(tmp_path, "rules-reloaded")] == [(before, after)]
    store = Store(f"sqlite:///{tmp_path}/cds.db")
    (said,) = (json.loads(entry.said) for entry in store.audit_entries() if entry.what == "rules")
    assert said == {"before": before, "after": after}
    assert store.verify_audit().problem is None
    store.close()


def test_a_broken_folder_leaves_the_old_rules_answering(tmp_path: Path, rules: Path, running: Running) -> None:
    """No worker ends; the log names file and line."""
    before, old = pack_hash(rules), set(workers_of(running))
    (rules / "falls" / "rule.toml").write_text(BROKEN)
    hang_up(running)
    until(lambda: bool(log_lines(tmp_path, "rules-kept")))
    (line,) = log_lines(tmp_path, "rules-kept")
    assert f"{rules}/falls/rule.toml:1: " in line["problem"]
    assert line["level"] == "error"
    assert packs(running) == {before}
    assert set(workers_of(running)) == old


def test_a_worker_that_ends_meanwhile_is_replaced_by_one_with_the_old_rules(rules: Path, running: Running) -> None:
    """A folder that is just being changed never stops the service: new workers need no file."""
    before, old = pack_hash(rules), workers_of(running)
    (rules / "falls" / "rule.toml").write_text(BROKEN)
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(set(workers_of(running)) - set(old)) == 2)
    assert running.process.poll() is None
    assert packs(running) == {before}


def test_after_a_repair_the_next_signal_takes_them(tmp_path: Path, rules: Path, running: Running) -> None:
    path = rules / "bands.toml"
    whole = path.read_text()
    path.write_text(BROKEN)
    hang_up(running)
    until(lambda: bool(log_lines(tmp_path, "rules-kept")))
    path.write_text(whole)
    change(rules)
    hang_up(running)
    until(lambda: bool(log_lines(tmp_path, "rules-reloaded")))
    until(lambda: packs(running) == {pack_hash(rules)})
