"""What is switched off now, as every worker knows it: the store is looked at no more often than every two seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Lock

import structlog

from cds_service.errors import StoreUnavailable
from cds_service.store import EVERY, Switch

LOOK_EVERY = 2.0  # seconds: a switch acts within 5 in all workers
SWITCHED_OFF = "switched-off"
TRIPPED = "tripped"


class Switchboard:
    """Read by every call; the first one after two seconds looks at the store, the others go on with what is known.

    Before anything is known they wait for it.
    """

    def __init__(self, read: Callable[[], tuple[Switch, ...]], clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._looking = Lock()
        self._look_again: float | None = None
        self._known: tuple[Switch, ...] = ()

    def off(self, client: str, rules: frozenset[str]) -> Mapping[str, str]:
        """The rules that are off for a client, by id with the reason; ``rules`` are the ids of all."""
        self._look()
        off: dict[str, str] = {}
        for switch in self._known:
            if switch.client in (EVERY, client):
                off.update(dict.fromkeys(rules if switch.rule == EVERY else rules & {switch.rule}, _reason(switch)))
        return off

    def _look(self) -> None:
        if not self._is_due() or not self._looking.acquire(blocking=self._look_again is None):
            return
        try:
            if not self._is_due():  # another thread has just looked, and this one waited for it
                return
            self._known = tuple(switch for switch in self._read() if switch.state == "off")
        except StoreUnavailable:  # what was off stays off, what was on stays on
            structlog.get_logger("cds_service").warning("switches-not-read")
        finally:
            self._look_again = self._clock() + LOOK_EVERY
            self._looking.release()

    def _is_due(self) -> bool:
        return self._look_again is None or self._clock() >= self._look_again


def _reason(switch: Switch) -> str:
    """What the rule answers. An operator's own words stay in the list and the audit: they may say anything."""
    return SWITCHED_OFF if switch.cause == "operator" else f"{TRIPPED}: {switch.reason}"
