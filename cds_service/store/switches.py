"""What was switched off while the service runs: one row per rule and CDS Client, kept when it is on again (B-52)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from sqlalchemy import Connection, Engine, and_, delete, select

from cds_service.store.connection import or_unavailable
from cds_service.store.schema import switches

EVERY = "*"  # every rule, or every client
Cause = Literal["operator", "firing", "override", "latency"]


class Switch(NamedTuple):
    """``rule`` and ``client`` are ids or ``EVERY``; ``cause``: an operator turned it, or which band was left."""

    rule: str
    client: str
    state: Literal["off", "on"]
    cause: Cause
    reason: str
    at: datetime


def all_switches(engine: Engine) -> tuple[Switch, ...]:
    """Every switch that was ever turned, as it stands. Raises StoreUnavailable."""
    with or_unavailable(), engine.connect() as connection:
        return tuple(Switch(*row) for row in connection.execute(_ALL))


def turn(connection: Connection, switch: Switch) -> bool:
    """Put a switch in its place, inside a transaction that may write; False when it stands so already."""
    its = and_(switches.c.rule == switch.rule, switches.c.client == switch.client)
    stands = connection.execute(select(switches.c.state).where(its)).scalar() or "on"
    if stands == switch.state:
        return False
    connection.execute(delete(switches).where(its))
    connection.execute(switches.insert(), switch._asdict())
    return True


_ALL = select(
    switches.c.rule, switches.c.client, switches.c.state, switches.c.cause, switches.c.reason, switches.c.at
).order_by(switches.c.client, switches.c.rule)
