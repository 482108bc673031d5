"""What is remembered of each FHIR base between calls: how many requests are in flight, and whether it rests (P-10)."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock

from pybreaker import CircuitBreaker, CircuitBreakerError

from cds_service.errors import TemporaryFhirError

IN_FLIGHT_PER_SERVER = 16  # P-10: per FHIR base and process
# More failures in a row than one call has in flight, so that one chart cannot close a server to all others.
BREAKER_FAILURES = 10
BREAKER_REST = 10  # seconds
_SERVERS_KEPT = 256


class PassingFault(TemporaryFhirError):
    """A fault that another try may mend: whether the breaker counts it, and how long to wait first (seconds)."""

    def __init__(self, cause: str, *, unhealthy: bool, retry_after: float = 0) -> None:
        super().__init__(cause)
        self.unhealthy = unhealthy
        self.retry_after = retry_after


def _is_no_sign_of_illness(error: BaseException) -> bool:
    return not (isinstance(error, PassingFault) and error.unhealthy)


class Server:
    """One FHIR base."""

    def __init__(self) -> None:
        self._slots = BoundedSemaphore(IN_FLIGHT_PER_SERVER)
        self._breaker = CircuitBreaker(
            BREAKER_FAILURES, BREAKER_REST, exclude=[_is_no_sign_of_illness], throw_new_error_on_trip=False
        )

    @contextmanager
    def turn(self, deadline: float) -> Iterator[None]:
        """Wait for a free slot and hold it. Raises TemporaryFhirError ``busy`` or ``circuit-open``.

        ``calling`` locks the breaker on entry only; its ``call`` would hold the lock during the whole request.
        """
        if not self._slots.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise TemporaryFhirError("busy")
        try:
            with self._breaker.calling():
                yield
        except CircuitBreakerError:
            raise TemporaryFhirError("circuit-open") from None
        finally:
            self._slots.release()


class Servers:
    """The FHIR bases that were read last. Safe to share between threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Server] = OrderedDict()
        self._lock = Lock()

    def at(self, base: str) -> Server:
        """The server of this base, remembered or new."""
        with self._lock:
            server = self._kept.pop(base, None) or Server()
            self._kept[base] = server
            if len(self._kept) > _SERVERS_KEPT:
                self._kept.popitem(last=False)
            return server
