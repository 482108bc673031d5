"""Where the time of one call goes: every stage of ``service.CdsService.call`` by itself, in this process, no HTTP."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from benchmarks.payload import for_patient
from cds_service.advice import Advice
from cds_service.app import utc_now
from cds_service.cards.compose import CardContext, compose
from cds_service.cards.disputed import without_disputed
from cds_service.cds_hooks.request import parse_hook_request
from cds_service.cds_hooks.response import encode
from cds_service.cli.serve import calm_the_collector
from cds_service.fhir.client import FhirClient, open_mode_allows
from cds_service.fhir.reader import read_record
from cds_service.prefetch import complete, prefetch_plan
from cds_service.reads import reads_of
from cds_service.rule_engine.evaluate import evaluate
from cds_service.rule_engine.facts import gather_facts
from cds_service.service import load_rule_pack
from cds_service.settings import Settings
from cds_service.store import Store
from cds_service.trust import CdsClient

T = TypeVar("T")

STAGES = ("parse", "data", "read", "derive", "rules", "compose", "store", "encode")
_LEAST_RUNS = 5


class Timings(NamedTuple):
    """Median milliseconds of each stage over ``runs`` runs, in the order of STAGES."""

    stages: tuple[float, ...]
    runs: int

    @property
    def total(self) -> float:
        """Milliseconds of all stages."""
        return sum(self.stages)

    def of(self, stage: str) -> float:
        """Milliseconds of one stage."""
        return self.stages[STAGES.index(stage)]


class Walk:
    """The parts of the service, and one call through them with the clock running."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(open=True, database_url=f"sqlite:///{folder / 'stages.db'}")
        pack = load_rule_pack(settings.rules_dir, settings.today())
        self._knowledge, self._deck = pack.knowledge, pack.deck
        self._plan = prefetch_plan(reads_of(pack))
        self._fhir = FhirClient()
        self._store = Store(settings.database_url)
        self._store.migrate()
        self._client = CdsClient(id="open")

    def timings(self, body: bytes, seconds: float) -> Timings:
        """Walk the same call again and again for ``seconds``, with the collector as the server sets it."""
        calm_the_collector(None)
        until = time.perf_counter() + seconds
        runs: list[list[float]] = []
        self.call(body, utc_now())
        while len(runs) < _LEAST_RUNS or time.perf_counter() < until:
            runs.append(self.call(for_patient(body, len(runs)), utc_now()))
        medians = (statistics.median(stage) * 1000 for stage in zip(*runs, strict=True))
        return Timings(tuple(medians), len(runs))

    def close(self) -> None:
        """Let go of threads and database."""
        self._fhir.close()
        self._store.close()

    def call(self, body: bytes, as_of: datetime) -> list[float]:
        """Seconds of each stage of one call."""
        laps: list[float] = []

        def lap(step: Callable[..., T], *args: Any, **named: Any) -> T:
            started = time.perf_counter()
            result = step(*args, **named)
            laps.append(time.perf_counter() - started)
            return result

        request = lap(parse_hook_request, body)
        deadline = time.monotonic() + self._client.deadline_seconds
        where = {"plan": self._plan, "client": self._fhir, "allowed": open_mode_allows}
        payloads = lap(complete, request, as_of=as_of, deadline=deadline, **where)
        vocabulary = self._knowledge.vocabulary
        record = lap(read_record, payloads, request.patient_id, vocabulary=vocabulary, as_of=as_of)
        memory = self._store.memory(self._client.id, request.fhir_server or "", request.patient_id)
        facts = lap(lambda: gather_facts(without_disputed(record, memory, self._deck), self._knowledge, as_of))
        evaluation = lap(evaluate, self._knowledge.rules, facts)
        composed = lap(compose, evaluation, self._deck, memory, CardContext(request.patient_id))
        assert composed.cards, "the benchmark's patient must get a card"
        lap(self._store.note_shown, self._client.id, memory.patient, composed.shown, as_of)
        lap(lambda: encode(Advice(evaluation, composed).response(self._knowledge.pack_hash)))
        return laps
