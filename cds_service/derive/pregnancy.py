"""Pregnancy and the half year after a delivery, when some of the record is read otherwise (G11)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from cds_service.derive.conditions import counts, is_active
from cds_service.record import ConditionEntry


class PregnancyWindow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Value sets of conditions, and how many days after onset (else recording) they count (A-40, B-74)."""

    sets: tuple[str, ...]
    within_days: int
    delivery_sets: tuple[str, ...]
    delivery_within_days: int


def is_pregnant_or_postpartum(conditions: Iterable[ConditionEntry], window: PregnancyWindow, as_of: datetime) -> bool:
    """Whether a pregnancy is active inside its window, or a delivery lies inside its own, whatever its status."""
    pregnancy, delivery = frozenset(window.sets), frozenset(window.delivery_sets)

    def recent(entry: ConditionEntry, days: int) -> bool:
        dated = entry.onset or entry.recorded
        return dated is not None and dated.within_days(days, as_of)

    return any(
        (not pregnancy.isdisjoint(entry.sets) and is_active(entry, as_of) and recent(entry, window.within_days))
        or (not delivery.isdisjoint(entry.sets) and counts(entry) and recent(entry, window.delivery_within_days))
        for entry in conditions
    )
