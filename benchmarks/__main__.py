"""``python -m benchmarks`` (``make bench``): one run, side by side with the floors, in less than three minutes."""

from __future__ import annotations

import argparse
import importlib.util
import platform
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.fetch import measure_fetching
from benchmarks.goals import Results, judge
from benchmarks.measure import FULL, QUICK, Plan, measure, memory_after_storm
from benchmarks.payload import hook_request
from benchmarks.report import print_fetching, print_goals, print_loads, print_stages
from benchmarks.servers import NotStarted
from benchmarks.stages import Timings, Walk
from cds_service.settings import Settings

STORM_SIZE = 5000
_FETCHES = 12
# In memory: a disk that other jobs use would be measured instead of the service.
_MEMORY_FILES = Path("/dev/shm")  # noqa: S108 - a new folder of its own name is made in it
OVER = 1
CANNOT_MEASURE = 2


def main() -> int:
    """0; with --gate 1 when a gating goal is missed; 2 when it cannot be measured here."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100 and 1000 resources only, in less than 40 seconds")
    parser.add_argument("--gate", action="store_true", help="exit 1 when p50 or CPU is over the floor at 100 resources")
    parser.add_argument(
        "--store",
        type=Path,
        default=_MEMORY_FILES if _MEMORY_FILES.is_dir() else None,
        help="folder for the databases (default: in memory); a disk adds what it takes to sync it",
    )
    options = parser.parse_args()
    if problem := _what_is_missing():
        print(problem, file=sys.stderr)
        return CANNOT_MEASURE
    plan = QUICK if options.quick else FULL
    print(f"Python {platform.python_version()}, {plan.rounds} rounds of {plan.seconds:g} s for each load")
    try:
        found = _run(plan, options.store)
    except NotStarted as error:
        print(error, file=sys.stderr)
        return CANNOT_MEASURE
    print_loads(found.samples)
    print_stages(found.stages)
    print_fetching(found.fetched)
    judged = judge(found)
    print_goals(judged)
    missed = any(one.goal.gate and not one.is_met for one in judged)
    return OVER if options.gate and missed else 0


def _run(plan: Plan, store: Path | None) -> Results:
    settings = Settings()
    bodies = {size: hook_request(settings.rules_dir, size, settings.today()) for size in plan.sizes}
    with tempfile.TemporaryDirectory(prefix="atrophy-cds-benchmark-", dir=store) as name:
        folder = Path(name)
        stages = _stages(bodies, folder, plan.seconds)
        samples = measure(plan, bodies, folder)
        fetched = measure_fetching(folder, _FETCHES)
        storm = bodies.get(STORM_SIZE)
        return Results(samples, stages, fetched, memory_after_storm(storm, folder) if storm else None)


def _stages(bodies: Mapping[int, bytes], folder: Path, seconds: float) -> dict[int, Timings]:
    walk = Walk(folder)
    try:
        return {size: walk.timings(body, seconds) for size, body in bodies.items()}
    finally:
        walk.close()


def _what_is_missing() -> str | None:
    if sys.platform != "linux":
        return "The benchmark reads processor time and memory of other processes as Linux tells them."
    if importlib.util.find_spec("orjson") is None:
        return "The raw floor needs orjson, which is in the dependency group dev."
    return None


if __name__ == "__main__":
    sys.exit(main())
