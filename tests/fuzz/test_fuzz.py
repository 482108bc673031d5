"""P-36, T15, T22: whatever is sent with a good token, there is no 5xx, no leak, and memory stays flat.

Drawn by ``Random`` alone: Hypothesis itself grows by 2 kB an example, which hides what the service does, and a number
that seeds alterations has nothing to shrink. A failure names its request; SEED and that number make it again.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import msgspec
import pytest
import structlog
from flask.testing import FlaskClient

from cds_service.app import STORE, create_app
from cds_service.rule_engine.loader import load_knowledge
from cds_service.settings import Settings
from tests import worked_patients
from tests.ehr import PUBLIC_URL, Ehr, write_clients
from tests.fuzz.altered import CANARY, altered, request_of
from tests.http.stand_in import CALL

REQUESTS = int(os.environ.get("ATROPHY_CDS_FUZZ", "3000"))
SEED = int(os.environ.get("ATROPHY_CDS_FUZZ_SEED", "20261127"))
REACHING = 0.4  # P-36
MEMORY_MB = 60
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
RULES = Settings().rules_dir
KNOWLEDGE = load_knowledge(RULES, NOW.date())
CASES = [case for case in worked_patients.CASES if not case.deceased]
# The first patient of each rule that fires, unaltered, so that every rule is reached whatever is drawn.
FIRING = {
    rule: case
    for case in reversed(CASES)
    for rule, said in case.expect.items()
    if said in ("info", "warning", "critical")
}
EVALUATION = "org.atrophy-cds.evaluation"


class Fuzzed:
    """The service with a client of its file, and what came of everything that was sent."""

    def __init__(self, client: FlaskClient, ehr: Ehr) -> None:
        self.statuses: Counter[int] = Counter()
        self.fired: set[str] = set()
        self._client = client
        self._ehr = ehr

    def send(self, body: bytes) -> None:
        headers = {**self._ehr.bearer(CALL), "Content-Type": "application/json"}
        response = self._client.post(CALL, data=body, headers=headers)
        self.statuses[response.status_code] += 1
        assert response.status_code < 500, response.data
        answer = json.loads(response.data)
        if response.status_code == 200:
            self._check_cards(answer)
        else:
            assert answer["resourceType"] == "OperationOutcome"
            assert CANARY not in response.data.decode()

    def _check_cards(self, answer: dict[str, object]) -> None:
        evaluated = msgspec.convert(answer, _Answer)
        self.fired |= {rule.id for rule in evaluated.extension[EVALUATION].rules if rule.status == "fired"}
        for card in evaluated.cards:
            assert len(card.summary) < 140


class _Rule(msgspec.Struct):
    id: str
    status: str


class _Evaluation(msgspec.Struct):
    rules: list[_Rule]


class _Card(msgspec.Struct):
    summary: str
    detail: str


class _Answer(msgspec.Struct):
    cards: list[_Card]
    extension: dict[str, _Evaluation]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    folder = tmp_path_factory.mktemp("fuzz")
    ehr = Ehr()
    clients = write_clients(folder, ehr, "calls_per_minute = 100000000")
    app = create_app(
        Settings(clients_file=clients, public_url=PUBLIC_URL, database_url=f"sqlite:///{folder}/cds.db"),
        clock=lambda: NOW,
    )
    yield Fuzzed(app.test_client(), ehr)
    app.extensions[STORE].close()
    stored = b"".join(path.read_bytes() for path in Path(folder).glob("cds.db*"))
    assert CANARY.encode() not in stored


def rss_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def drawn_request(number: int) -> bytes:
    """A worked patient's call with up to four alterations; the same for the same SEED."""
    draw = Random(f"{SEED}/{number}")
    return altered(request_of(draw.choice(CASES), KNOWLEDGE, NOW), draw, draw.randint(0, 4))


def test_every_rule_is_reached(fuzzed: Fuzzed) -> None:
    for case in FIRING.values():
        fuzzed.send(altered(request_of(case, KNOWLEDGE, NOW), Random(0), 0))
    assert fuzzed.fired >= {compiled.rule.id for compiled in KNOWLEDGE.rules.by_number}


def test_nothing_breaks_it(fuzzed: Fuzzed, capfd: pytest.CaptureFixture[str]) -> None:
    """So many altered requests; at least 40 % of them reach the rules."""
    structlog.reset_defaults()
    grown = []
    before = rss_mb()
    for number in range(REQUESTS):
        try:
            fuzzed.send(drawn_request(number))
        except AssertionError as error:
            error.add_note(f"request {number} of seed {SEED}")
            raise
        if number % (REQUESTS // 10) == 0:
            grown.append(round(rss_mb() - before))
    sent = sum(fuzzed.statuses.values())
    assert fuzzed.statuses[200] / sent >= REACHING
    assert rss_mb() - before < MEMORY_MB
    logged = capfd.readouterr()
    assert CANARY not in logged.out + logged.err
    said = f"{dict(fuzzed.statuses)}, {len(fuzzed.fired)} rules fired, memory by tenths in MB: {grown}"
    sys.stderr.write(f"seed {SEED}: {said}\n")
