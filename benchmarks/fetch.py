"""How we fetch what no prefetch brought, beside a bare kept ``requests.Session`` with a kept pool of threads (P-40)."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import requests
from requests.adapters import HTTPAdapter

from benchmarks.chart import PATIENT_ID
from benchmarks.servers import FHIR_STUB, HOST, running
from cds_service.app import utc_now
from cds_service.cds_hooks.request import FhirAuthorization, HookRequest
from cds_service.fhir.client import FhirClient, open_mode_allows
from cds_service.prefetch import PrefetchPlan, complete, prefetch_plan
from cds_service.reads import reads_of
from cds_service.record import SourceState
from cds_service.service import load_rule_pack
from cds_service.settings import Settings

_HOOK_INSTANCE = "00000000-0000-4000-8000-000000000000"
_DEADLINE_SECONDS = 30
_WARM_UP = 3
_IN_FLIGHT = 6  # P-10


class Fetched(NamedTuple):
    """Medians over the rounds, in milliseconds. ``slowest``: of single calls; ``stages``: calls at once / in flight."""

    calls: int
    stages: int
    slowest: float
    wall: float
    cpu: float
    bare_wall: float
    bare_cpu: float

    @property
    def wall_by_stage(self) -> float:
        """Wall time by that of the slowest call for each stage."""
        return self.wall / (self.stages * self.slowest)

    @property
    def cpu_by_bare(self) -> float:
        """Our processor time by that of the bare session."""
        return self.cpu / self.bare_cpu


def measure_fetching(folder: Path, rounds: int) -> Fetched:
    """Everything of one patient fetched by us and by the bare session, in turn."""
    settings = Settings()
    plan = prefetch_plan(reads_of(load_rule_pack(settings.rules_dir, settings.today())))
    with running(folder, (FHIR_STUB,)) as servers, FhirClient() as client, _BareSession() as bare:
        base = f"http://{HOST}:{servers[FHIR_STUB].port}"
        as_of = utc_now()
        urls = [
            f"{base}/{query.path}" for name in plan.reads.sources for query in plan.queries(name, PATIENT_ID, as_of)
        ]
        ours = _Ours(client, plan, base)
        slowest = statistics.median(_spent(lambda: bare.get(urls[1]))[0] for _ in range(_WARM_UP))
        pairs = [(_spent(ours.fetch), _spent(lambda: bare.get_all(urls))) for _ in range(_WARM_UP + rounds)]
    walls_and_cpus = zip(*((*mine, *theirs) for mine, theirs in pairs[_WARM_UP:]), strict=True)
    figures = [statistics.median(values) for values in walls_and_cpus]
    return Fetched(len(urls), math.ceil(len(urls) / _IN_FLIGHT), slowest, *figures)


def _spent(run: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds of wall time and of processor time of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000


class _Ours:
    def __init__(self, client: FhirClient, plan: PrefetchPlan, base: str) -> None:
        self._client = client
        self._plan = plan
        token = FhirAuthorization("benchmark-token", "Bearer", 300, "patient/*.read", "atrophy-cds", PATIENT_ID)
        self._request = HookRequest(
            _HOOK_INSTANCE, "Practitioner/p1", PATIENT_ID, fhir_server=base, authorization=token
        )

    def fetch(self) -> None:
        payloads = complete(
            self._request,
            plan=self._plan,
            client=self._client,
            as_of=utc_now(),
            deadline=time.monotonic() + _DEADLINE_SECONDS,
            allowed=open_mode_allows,
        )
        causes = {payload.cause for payload in payloads if payload.state is not SourceState.COMPLETE}
        assert not causes, f"not everything was fetched: {causes}"


class _BareSession:
    """What the project's choice of ``requests`` costs at least."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("http://", HTTPAdapter(pool_maxsize=_IN_FLIGHT))
        self._pool = ThreadPoolExecutor(_IN_FLIGHT)

    def __enter__(self) -> _BareSession:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._pool.shutdown()
        self._session.close()

    def get(self, url: str) -> bytes:
        response = self._session.get(url, timeout=_DEADLINE_SECONDS)
        response.raise_for_status()
        return response.content

    def get_all(self, urls: list[str]) -> list[bytes]:
        return list(self._pool.map(self.get, urls))
