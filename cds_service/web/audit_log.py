"""The head of the audit in the log, every minute and at stop: a cut at the end of the chain shows against it (P-33)."""

from __future__ import annotations

import atexit
from collections.abc import Callable

import structlog

from cds_service.every_minute import every_minute
from cds_service.store.audit import Head


class HeadLog:
    """Writes the newest entry that this process made, whenever there is a newer one."""

    def __init__(self, head: Callable[[], Head | None]) -> None:
        self._head = head
        self._logged: Head | None = None

    def begin(self) -> None:
        """From now on every minute, and at the end of the process. To be called once, after forking."""
        atexit.register(self.log)
        every_minute(self.log)

    def log(self) -> None:
        """Write the head, unless it is the one that was written last."""
        head = self._head()
        if head is not None and head != self._logged:
            self._logged = head
            structlog.get_logger("cds_service").info("audit-head", head=f"{head.number}:{head.seal}")
