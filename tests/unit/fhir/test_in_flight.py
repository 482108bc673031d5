"""A fault in a task reaches the call, whenever the lane that met it goes (P-10)."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cds_service.fhir.in_flight import InFlight


class LeavesSlowly(InFlight):
    """A lane that is gone from the count some time before its thread ends."""

    def _leave(self) -> None:
        super()._leave()
        time.sleep(0.05)


def test_what_a_task_raised_is_raised_by_the_one_who_waits() -> None:
    def fail() -> None:
        raise LookupError("a fault of ours")

    with ThreadPoolExecutor() as executor:
        in_flight = LeavesSlowly(executor, deadline=time.monotonic() + 5)
        in_flight.add(fail)
        with pytest.raises(LookupError, match="a fault of ours"):
            in_flight.wait()
