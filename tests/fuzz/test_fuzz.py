"""P-36, T15, T22: whatever is sent with a good token, there is no 5xx, no leak, and memory stays flat."""

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
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from cds_service.app import STORE, create_app
from cds_service.cases import load_cases
from cds_service.rule_engine.loader import load_knowledge
from cds_service.settings import Settings
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
CASES = [case for _, case in load_cases(RULES) if not case.deceased]
# One patient for each rule that fires, unaltered, so that every rule is reached whatever is drawn.
FIRING = {rule: case for case in CASES for rule, said in case.expect.items() if said in ("info", "warning", "critical")}
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


def test_every_rule_is_reached(fuzzed: Fuzzed) -> None:
    for case in FIRING.values():
        fuzzed.send(altered(request_of(case, KNOWLEDGE, NOW), Random(0), 0))
    assert fuzzed.fired >= {compiled.rule.id for compiled in KNOWLEDGE.rules.by_number}


def test_nothing_breaks_it(fuzzed: Fuzzed, capfd: pytest.CaptureFixture[str]) -> None:
    """So many altered requests; at least 40 % of them reach the rules."""
    structlog.reset_defaults()
    before = rss_mb()

    @seed(SEED)
    @settings(
        max_examples=REQUESTS,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.integers(0, len(CASES) - 1), drawn=st.integers(0, 2**32), times=st.integers(0, 4))
    def send_one(case: int, drawn: int, times: int) -> None:
        fuzzed.send(altered(request_of(CASES[case], KNOWLEDGE, NOW), Random(drawn), times))

    send_one()
    sent = sum(fuzzed.statuses.values())
    assert sent >= REQUESTS
    assert fuzzed.statuses[200] / sent >= REACHING
    assert rss_mb() - before < MEMORY_MB
    logged = capfd.readouterr()
    assert CANARY not in logged.out + logged.err
    sys.stderr.write(f"seed {SEED}: {dict(fuzzed.statuses)}, memory +{rss_mb() - before:.0f} MB\n")
