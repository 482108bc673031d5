"""How long each stage of a call takes."""

from __future__ import annotations

import time


class Stopwatch:
    """Milliseconds of each stage of a call, for Server-Timing and the log."""

    def __init__(self) -> None:
        self.started = self._last = time.monotonic()
        self._laps: list[tuple[str, float]] = []

    def lap(self, name: str) -> None:
        """The stage of that name ends now."""
        now = time.monotonic()
        self._laps.append((name, (now - self._last) * 1000))
        self._last = now

    @property
    def laps(self) -> tuple[tuple[str, float], ...]:
        """Stage and milliseconds, in order."""
        return tuple(self._laps)
