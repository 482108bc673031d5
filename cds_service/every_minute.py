"""Work that a process does beside its calls, now and every minute."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

SECONDS = 60.0


def every_minute(work: Callable[[], None]) -> None:
    """Do it now, and again every minute until the process ends. To be called after forking.

    What fails unforeseen is logged by kind and tried again a minute later: it stops neither the service nor itself.
    """
    try:
        work()
    except Exception as error:  # noqa: BLE001 - whatever it is, calls are answered and the next minute comes
        structlog.get_logger("cds_service").error("work-failed", work=work.__qualname__, error=type(error).__name__)
    timer = threading.Timer(SECONDS, every_minute, (work,))
    timer.daemon = True
    timer.start()
