"""P-36: every feedback that was answered 200 is in the store, however suddenly all processes end."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cds_service.store import Store
from tests.exposed.processes import Running, post, serving
from tests.http.stand_in import FEEDBACK, Shown, an_item

KILLS = int(os.environ.get("ATROPHY_CDS_KILLS", "5"))
IN_FLIGHT = 12
AT_LEAST = 8


class Reporters:
    """Threads that report on cards without a pause, and remember what was answered 200."""

    def __init__(self, running: Running, cards: list[str]) -> None:
        self.answered: list[str] = []
        self.in_flight = 0
        self._cards = iter(cards)
        self._running = running
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._report, daemon=True) for _ in range(IN_FLIGHT)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)

    def _report(self) -> None:
        while True:
            with self._lock:
                card = next(self._cards, None)
                if card is None:
                    return
                self.in_flight += 1
            body = json.dumps({"feedback": [an_item(card=card, outcomeTimestamp=now())]}).encode()
            try:
                status = post(self._running.url + FEEDBACK, body)
            except OSError:
                return  # the end came: this one was not answered
            finally:
                with self._lock:
                    self.in_flight -= 1
            if status == 200:
                self.answered.append(card)


def now() -> str:
    return datetime.now(UTC).isoformat()


def shown_cards(folder: Path, number: int) -> list[str]:
    """Cards that the client in open mode was shown."""
    store = Store(f"sqlite:///{folder}/cds.db")
    store.migrate()
    cards = [str(uuid.uuid4()) for _ in range(number)]
    store.note_shown("open", store.fingerprint("patient"), [Shown(card) for card in cards], datetime.now(UTC))
    store.close()
    return cards


@pytest.mark.parametrize("kill", range(KILLS))
def test_what_was_answered_is_kept(tmp_path: Path, kill: int) -> None:
    cards = shown_cards(tmp_path, 4000)
    with serving(tmp_path, "--open", "--workers", "2") as running:
        reporters = Reporters(running, cards)
        reporters.start()
        soonest = 5 + 17 * (kill % 10)
        give_up = time.monotonic() + 30
        while (len(reporters.answered) < soonest or reporters.in_flight < AT_LEAST) and time.monotonic() < give_up:
            time.sleep(0.001)
        in_flight = reporters.in_flight
        running.kill()
        reporters.join()
    assert in_flight >= AT_LEAST
    assert len(reporters.answered) >= soonest
    with sqlite3.connect(tmp_path / "cds.db") as database:
        kept = {card for (card,) in database.execute("SELECT card FROM feedback")}
    assert set(reporters.answered) <= kept
