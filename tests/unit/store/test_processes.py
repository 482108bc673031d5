"""Several threads and processes on one database lose nothing and tread on nobody's toes."""

import os
import subprocess
import sys
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from cds_service.cds_hooks.feedback import FeedbackItem
from cds_service.store import Store
from tests.http.stand_in import Shown

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 11, 27, 10, 0, tzinfo=UTC)
ROUNDS = 60


def write(store: Store, client: str, rounds: int = ROUNDS) -> None:
    """Show a card and answer it, again and again."""
    patient = store.memory(client, "", "p1").patient
    for number in range(rounds):
        card = str(uuid.uuid4())
        store.note_shown(client, patient, [Shown(card)], NOW)
        item = FeedbackItem(card, "overridden", NOW + timedelta(seconds=number))
        assert store.record_feedback(client, [item], NOW)["stored"] == 1


def counts(database_url: str) -> tuple[int, int]:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        shown, answered = (
            connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()  # noqa: S608 - our own names
            for table in ("cards_shown", "feedback")
        )
    engine.dispose()
    return shown, answered


OPEN = """
import os, sys
from pathlib import Path
from cds_service.store import Store
from tests.unit.store.test_processes import write
store = Store(sys.argv[1], key_file=Path(sys.argv[2]))
store.migrate()
"""


def test_two_processes_that_start_and_write_at_once_lose_nothing(database_url: str, tmp_path: Path) -> None:
    program = f"{OPEN}\nwrite(store, sys.argv[3]); store.close()"
    arguments = [sys.executable, "-W", "error", "-c", program, database_url, str(tmp_path / "cds.key")]
    processes = [subprocess.Popen([*arguments, client], cwd=ROOT) for client in ("first", "second")]

    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert counts(database_url) == (2 * ROUNDS, 2 * ROUNDS)


def test_workers_that_open_a_new_file_together_all_get_it(tmp_path: Path) -> None:
    """SQLite refuses one of those that switch a new file to WAL at the same moment, whatever the busy timeout."""
    program = """
import sys, time
from cds_service.store.connection import open_engine, parse_url
start = float(sys.argv[2])
for number in range(40):
    engine = open_engine(parse_url(f"sqlite:///{sys.argv[1]}/{number}.db"))
    while time.time() < start + number * 0.05: pass
    engine.connect().close()
    engine.dispose()
"""
    start = str(time.time() + 2)
    workers = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), start], cwd=ROOT, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    assert [worker.communicate(timeout=60)[1] for worker in workers] == [b""] * 4


def test_eight_threads_that_write_at_once_lose_nothing(store: Store, database_url: str) -> None:
    threads = [threading.Thread(target=write, args=(store, f"client-{n}", 20)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counts(database_url) == (160, 160)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_worker_opens_connections_of_its_own(database_url: str, tmp_path: Path) -> None:
    program = (
        f"{OPEN}\nwrite(store, 'parent', 5); pid = os.fork()\n"
        "write(store, 'child' if pid == 0 else 'parent', 20); pid and os.waitpid(pid, 0)"
    )

    arguments = [sys.executable, "-c", program, database_url, str(tmp_path / "cds.key")]
    subprocess.run(arguments, cwd=ROOT, check=True, timeout=60)

    assert counts(database_url) == (45, 45)
