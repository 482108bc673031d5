"""What one call asks of its FHIR server: a few requests at a time, until all are answered or the time is up (P-10)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from threading import Condition

IN_FLIGHT_PER_CALL = 6  # P-10

Task = Callable[[], None]


class InFlight:
    """Runs tasks six at a time on the threads of ``executor``; a task may add more. Tasks keep their own results.

    After the deadline (monotonic) none is begun, and nobody waits for those that still run: they end by themselves,
    because their reads have the same deadline.
    """

    def __init__(self, executor: Executor, deadline: float) -> None:
        self.deadline = deadline
        self._executor = executor
        self._waiting: deque[Task] = deque()
        self._lanes = 0
        self._faults: list[BaseException] = []
        self._change = Condition()

    def add(self, task: Task) -> None:
        """Run ``task`` as soon as there is room."""
        with self._change:
            self._waiting.append(task)
            if self._lanes == IN_FLIGHT_PER_CALL:
                return
            self._lanes += 1
            self._executor.submit(self._lane)

    def wait(self) -> None:
        """Until all tasks are done, at most until the deadline. Raises what a task raised."""
        with self._change:
            self._change.wait_for(lambda: self._lanes == 0, timeout=max(0.0, self.deadline - time.monotonic()))
            if self._faults:
                raise self._faults[0]

    def _lane(self) -> None:
        while task := self._next():
            try:
                task()
            except BaseException as fault:  # kept before the lane is gone, or wait() could miss it
                self._faults.append(fault)
                self._leave()
                raise

    def _next(self) -> Task | None:
        """The next task, or none and the lane is gone: both at once, or a task added in between would wait for ever."""
        with self._change:
            if self._waiting and time.monotonic() < self.deadline:
                return self._waiting.popleft()
            self._leave()
            return None

    def _leave(self) -> None:
        with self._change:
            self._lanes -= 1
            self._change.notify_all()
