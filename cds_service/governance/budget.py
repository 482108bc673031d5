"""Alert budgets: how many more cards a patient or a user may be shown. Emergencies do not count (B-25)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec

from cds_service.errors import StoreUnavailable
from cds_service.store import Store
from cds_service.store.governance import WEEK

DAY = timedelta(days=1)


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an entry of the clients' file allows: most cards within 24 hours and within 7 days."""

    cards_per_patient_day: int | None = None
    cards_per_user_week: int | None = None


class Room:
    """What a client's budget still allows for one patient and one user, both known by keyed fingerprints (P-33)."""

    def __init__(self, store: Store, client: str, budget: Budget | None, patient: str, user: Callable[[], str]) -> None:
        """``user`` makes the fingerprint of the user, if it is needed."""
        self._store = store.governance
        self._client = client
        self._limits: list[tuple[str, int, timedelta]] = []
        if budget is not None and budget.cards_per_patient_day is not None:
            self._limits.append((patient, budget.cards_per_patient_day, DAY))
        if budget is not None and budget.cards_per_user_week is not None:
            self._limits.append((user(), budget.cards_per_user_week, WEEK))

    def left(self, now: datetime) -> int | None:
        """How many more cards may be shown now; None: any number. A store in trouble never hides a card."""
        try:
            return min(
                (max(0, most - self._store.counted_cards(self._client, whom, now - within))
                 for whom, most, within in self._limits),
                default=None,
            )  # fmt: skip
        except StoreUnavailable:
            return None

    def take(self, cards: int, now: datetime) -> None:
        """Count cards that are shown. A store in trouble never keeps them from being shown."""
        if cards and self._limits:
            with suppress(StoreUnavailable):
                self._store.count_cards(self._client, tuple(whom for whom, _, _ in self._limits), cards, now)
