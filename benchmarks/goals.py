"""What the service must reach, as ratios to the floors of the same run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from benchmarks.fetch import Fetched
from benchmarks.measure import Cell, Samples, median, ratio
from benchmarks.servers import NULL, OURS, RAW
from benchmarks.stages import Timings


class Results(NamedTuple):
    """All that was measured. ``memory`` is MB after the storm; None when there was none."""

    samples: Samples
    stages: Mapping[int, Timings]
    fetched: Fetched
    memory: float | None = None


class Goal(NamedTuple):
    """One bar. ``value`` gives None when this run did not measure it. Gates decide the exit status with --gate."""

    says: str
    limit: float
    value: Callable[[Results], float | None]
    gate: bool = False


class Judged(NamedTuple):
    """A goal and what came out."""

    goal: Goal
    value: float

    @property
    def is_met(self) -> bool:
        """At or below the bar."""
        return self.value <= self.goal.limit


def _by_floor(size: int, floor: str, figure: str) -> Callable[[Results], float | None]:
    cell = Cell(OURS, size, 1)
    return lambda found: ratio(found.samples, cell, floor, figure) if cell in found.samples else None


def _tail(size: int) -> Callable[[Results], float | None]:
    cell = Cell(OURS, size, 1)

    def value(found: Results) -> float | None:
        if cell not in found.samples:
            return None
        ours = median(found.samples, cell)
        return ours.p95 / ours.p50

    return value


def _rules_ms(size: int) -> Callable[[Results], float | None]:
    return lambda found: found.stages[size].of("rules") if size in found.stages else None


GOALS = (
    Goal("p50 / raw floor, 100 resources", 1.0, _by_floor(100, RAW, "p50"), gate=True),
    Goal("CPU per call / raw floor, 100 resources", 1.0, _by_floor(100, RAW, "cpu"), gate=True),
    Goal("p50 / raw floor, 1000 resources", 0.7, _by_floor(1000, RAW, "p50")),
    Goal("p50 / raw floor, 5000 resources", 0.35, _by_floor(5000, RAW, "p50")),
    Goal("p50 / null transport, 100 resources", 4.0, _by_floor(100, NULL, "p50")),
    Goal("p50 / null transport, 1000 resources", 3.5, _by_floor(1000, NULL, "p50")),
    Goal("p95 / p50, 100 resources", 3.0, _tail(100)),
    Goal("all rules, 100 resources, ms", 0.3, _rules_ms(100)),
    Goal("own fetch, wall / slowest call per stage", 1.15, lambda found: found.fetched.wall_by_stage),
    Goal("own fetch, CPU / bare kept session", 1.2, lambda found: found.fetched.cpu_by_bare),
    Goal("worker after 32 clients x 5000 resources, MB", 200.0, lambda found: found.memory),
)


def judge(found: Results) -> list[Judged]:
    """Every goal that this run measured."""
    return [Judged(goal, value) for goal in GOALS if (value := goal.value(found)) is not None]
