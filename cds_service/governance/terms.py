"""What holds for one CDS Client: which rules are off, which are silent for a user, how many cards are left (B-52)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from cds_service.governance.budget import Budget, Room
from cds_service.governance.silent_mode import SilentMode, place_among_users, silence_of
from cds_service.governance.switchboard import SWITCHED_OFF, Switchboard
from cds_service.rule_engine.model import Evaluation
from cds_service.rule_engine.rulebook import RuleBook
from cds_service.store import Store


class Agreed(Protocol):
    """What a client's entry says of it."""

    @property
    def id(self) -> str: ...
    @property
    def rules_off(self) -> tuple[str, ...]: ...
    @property
    def silent(self) -> SilentMode | None: ...
    @property
    def budget(self) -> Budget | None: ...


class Terms:
    """The terms of one client. A user is known by a keyed fingerprint that is made only where it is needed (P-33)."""

    def __init__(self, agreed: Agreed, book: RuleBook) -> None:
        """Raises ValueError for a word that names no rule."""
        self._client, self._budget = agreed.id, agreed.budget
        self._rules = book.ids
        self._rules_off = dict.fromkeys(book.named(agreed.rules_off), SWITCHED_OFF)
        self._silence = silence_of(agreed.silent, book)

    def off(self, switchboard: Switchboard) -> Mapping[str, str]:
        """The rules that are not asked now, by id with the reason."""
        return {**switchboard.off(self._client, self._rules), **self._rules_off}

    def all_off(self, off: Mapping[str, str]) -> bool:
        """Whether no rule is left to ask."""
        return len(off) == len(self._rules)

    def silent(self, evaluation: Evaluation, user: str, store: Store) -> frozenset[str]:
        """Ids of the rules that are silent for a user."""
        place = 0.0 if self._silence.is_for_everybody else place_among_users(self._whom(user, store))
        return self._silence.of(evaluation, place)

    def room(self, patient: str, user: str, store: Store) -> Room:
        """What the budgets leave for a patient, given by its fingerprint, and a user."""
        return Room(store, self._client, self._budget, patient, lambda: self._whom(user, store))

    def _whom(self, user: str, store: Store) -> str:
        return store.fingerprint("user", self._client, user)
