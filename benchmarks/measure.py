"""Loads the service and its floors in turn, round after round, so that noise falls on all of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks.load import Load, run_load
from benchmarks.servers import NULL, OURS, RAW, Server, running

SERVERS = (OURS, RAW, NULL)
_WARM_UP_SECONDS = 0.15


class Plan(NamedTuple):
    """What is measured: resources in the chart, clients at once, seconds for each."""

    sizes: tuple[int, ...]
    clients: tuple[int, ...]
    rounds: int
    seconds: float


FULL = Plan(sizes=(10, 100, 1000, 5000), clients=(1, 8), rounds=3, seconds=1.0)
QUICK = Plan(sizes=(100, 1000), clients=(1, 8), rounds=3, seconds=0.4)


class Cell(NamedTuple):
    """One server under one load."""

    server: str
    size: int
    clients: int


class Sample(NamedTuple):
    """One round of a cell. Milliseconds per call; CPU is that of the server's processes; MB of its worker."""

    p50: float
    p95: float
    per_second: float
    cpu: float
    rss: float


Samples = dict[Cell, list[Sample]]


def measure(plan: Plan, bodies: Mapping[int, bytes], folder: Path) -> Samples:
    """Every cell once in each round, each round with servers started anew."""
    samples: Samples = {}
    for number in range(plan.rounds):
        order = SERVERS[number % len(SERVERS) :] + SERVERS[: number % len(SERVERS)]
        with running(folder, SERVERS) as servers:
            for cell in _cells(plan, order):
                sample = _sample(servers[cell.server], bodies[cell.size], cell.clients, plan.seconds)
                samples.setdefault(cell, []).append(sample)
    return samples


def memory_after_storm(body: bytes, folder: Path, clients: int = 32) -> float:
    """MB of the service's worker after ``clients`` at once have each sent this body twice."""
    with running(folder, (OURS,)) as servers:
        run_load(servers[OURS].port, body, clients, 0, at_least=2)
        return servers[OURS].worker_rss_mb()


def median(samples: Samples, cell: Cell) -> Sample:
    """Each figure's median over the rounds."""
    return Sample(*(statistics.median(figures) for figures in zip(*samples[cell], strict=True)))


def ratio(samples: Samples, cell: Cell, floor: str, figure: str) -> float:
    """Ours by the floor's, within each round; the median over the rounds."""
    at = Sample._fields.index(figure)
    pairs = zip(samples[cell], samples[cell._replace(server=floor)], strict=True)
    return statistics.median(ours[at] / theirs[at] for ours, theirs in pairs)


def _cells(plan: Plan, order: Iterable[str]) -> Iterable[Cell]:
    """Servers change fastest: what is compared was measured within seconds."""
    names = tuple(order)
    return (Cell(name, size, clients) for size in plan.sizes for clients in plan.clients for name in names)


def _sample(server: Server, body: bytes, clients: int, seconds: float) -> Sample:
    run_load(server.port, body, clients, _WARM_UP_SECONDS)
    before = server.cpu_seconds()
    load = run_load(server.port, body, clients, seconds, at_least=2)
    spent = server.cpu_seconds() - before
    return _summary(load, spent, server.worker_rss_mb())


def _summary(load: Load, cpu_seconds: float, rss: float) -> Sample:
    taken = sorted(load.latencies)
    calls = len(taken)
    return Sample(
        p50=statistics.median(taken) * 1000,
        p95=taken[min(calls - 1, round(calls * 0.95))] * 1000,
        per_second=calls / load.seconds,
        cpu=cpu_seconds / calls * 1000,
        rss=rss,
    )
