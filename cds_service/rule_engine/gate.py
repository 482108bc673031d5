"""The gates of the clinical specification (G1-G15) in words, as ``rules/gates.toml`` has them for ``docs/rules.md``."""

from __future__ import annotations

from typing import Literal

from cds_service.rule_engine.criterion import Written
from cds_service.rule_engine.model import CardGroup


class GateLine(Written, frozen=True, kw_only=True):
    """What a gate means at a rule that fits everything named here. ``says`` may hold {names}, {orders}, {youngest}.

    ``criteria``, ``sets`` and ``field`` look for criteria of the rule, ``orders`` and ``rays`` for what it offers,
    ``has`` and ``lacks`` at a field of the rule.
    """

    says: str
    criteria: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    field: Literal["status", "confirmed", "family_history", "age_at_least", "age_below"] | None = None
    orders: tuple[str, ...] = ()
    rays: Literal["removed", "kept"] | None = None
    has: Literal["passes_hospice", "youngest"] | None = None
    lacks: Literal["passes_hospice", "youngest"] | None = None
    groups: tuple[CardGroup, ...] = ()


class Gate(Written, frozen=True, kw_only=True):
    """One gate: what it says of all rules, and its lines for single ones. ``every_rule``: no rule has to ask for it."""

    number: str
    title: str
    says: str
    every_rule: bool = False
    line: tuple[GateLine, ...] = ()
