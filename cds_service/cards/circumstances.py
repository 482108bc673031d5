"""What about this patient changes how an order is offered: pregnancy (G11) and cautions (G13, B-55)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cds_service.cards.order_knowledge import Caution, Pregnancy
from cds_service.derive.index import RecordIndex
from cds_service.derive.pregnancy import is_pregnant_or_postpartum
from cds_service.partial_date import PartialDate
from cds_service.rule_engine.care import is_performed


class Circumstances:
    """Asked only when an order needs it; each answer is found once."""

    def __init__(self, index: RecordIndex, as_of: datetime, pregnancy: Pregnancy) -> None:
        self._index = index
        self._as_of = as_of
        self._pregnancy = pregnancy
        self._pregnant: bool | None = None

    def has_condition(self, sets: Iterable[str], within_days: int | None = None) -> bool:
        """Whether a condition of one of the sets is active, and (with a window) began or was recorded inside it."""
        active = self._index.active_conditions.of(sets)
        return any(within_days is None or self._recent(c.onset or c.recorded, within_days) for c in active)

    def is_pregnant(self) -> bool:
        """G11: a pregnancy code inside its window, or a delivery inside its own whatever its status (A-40, B-74)."""
        if self._pregnant is None:
            conditions = self._index.record.conditions
            coded = is_pregnant_or_postpartum(conditions, self._pregnancy, self._as_of)
            self._pregnant = coded or self._has_delivered()
        return self._pregnant

    def applies(self, caution: Caution) -> bool:
        """Whether a caution is to be shown."""
        if not caution.conditions and not caution.results:
            return True
        if caution.conditions and self.has_condition(caution.conditions, caution.within_days):
            return True
        return self._is_low(caution)

    def _is_low(self, caution: Caution) -> bool:
        results = [
            (o.effective, o.value, o.unit)
            for o in self._index.observations.of(caution.results)
            if o.value is not None and o.effective is not None
        ]
        if not results:
            return False
        dated, value, unit = max(results, key=lambda result: result[0])
        recent = caution.within_days is None or self._recent(dated, caution.within_days)
        return recent and unit in caution.units and value < caution.below

    def _has_delivered(self) -> bool:
        known = self._pregnancy
        procedures = [a for a in self._index.activities.of(known.delivery_sets) if is_performed(a)]
        return any(self._recent(procedure.date, known.delivery_within_days) for procedure in procedures)

    def _recent(self, dated: PartialDate | None, days: int) -> bool:
        return dated is not None and dated.within_days(days, self._as_of)
