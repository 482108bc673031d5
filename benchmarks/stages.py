"""Where the time of one call goes: every stage of ``service.CdsService.call`` by itself, in this process, no HTTP."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from benchmarks.payload import for_patient
from cds_service.app import utc_now
from cds_service.cards.compose import CardContext, compose
from cds_service.cards.knowledge import load_deck
from cds_service.cds_hooks.request import parse_hook_request
from cds_service.cds_hooks.response import encode
from cds_service.fhir.reader import SourcePayload, read_record
from cds_service.record import SourceState
from cds_service.rule_engine.evaluate import evaluate
from cds_service.rule_engine.facts import gather_facts
from cds_service.rule_engine.loader import load_knowledge
from cds_service.service import Advice
from cds_service.settings import CdsClient, Settings
from cds_service.store import Store

T = TypeVar("T")

STAGES = ("parse", "read", "derive", "rules", "compose", "store", "encode")
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
        self._knowledge = load_knowledge(settings.rules_dir, settings.today())
        self._deck = load_deck(settings.rules_dir)
        self._store = Store(settings.database_url)
        self._store.migrate()
        self._client = CdsClient()

    def timings(self, body: bytes, seconds: float) -> Timings:
        """Walk the same call again and again for ``seconds``."""
        until = time.perf_counter() + seconds
        runs: list[list[float]] = []
        self.call(body, utc_now())
        while len(runs) < _LEAST_RUNS or time.perf_counter() < until:
            runs.append(self.call(for_patient(body, len(runs)), utc_now()))
        medians = (statistics.median(stage) * 1000 for stage in zip(*runs, strict=True))
        return Timings(tuple(medians), len(runs))

    def close(self) -> None:
        """Let go of the database."""
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
        assert request.prefetch is not None
        vocabulary = self._knowledge.vocabulary
        payloads = [
            SourcePayload(key, "prefetch", SourceState.COMPLETE, (value,))  # type: ignore[arg-type]  # a key of ours
            for key, value in request.prefetch.present()
        ]
        record = lap(read_record, payloads, request.patient_id, vocabulary=vocabulary, as_of=as_of)
        facts = lap(gather_facts, record, self._knowledge, as_of)
        evaluation = lap(evaluate, self._knowledge.rules, facts)
        memory = self._store.memory(self._client.id, request.fhir_server or "", request.patient_id)
        composed = lap(compose, evaluation, self._deck, memory, CardContext(request.patient_id))
        assert composed.cards, "the benchmark's patient must get a card"
        lap(self._store.note_shown, self._client.id, memory.patient, composed.shown, as_of)
        lap(lambda: encode(Advice(evaluation, composed).response(self._knowledge.pack_hash)))
        return laps
