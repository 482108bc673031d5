"""What an attack on the service is: something that it does to an ``Attacked``, and what protects against it (P-35)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.threats.attacked import Attacked

Swap = Callable[[pytest.MonkeyPatch], None]
Act = Callable[[Attacked], bool]


class Attack(NamedTuple):
    """``act`` answers True when damage was done; ``swap`` takes the protection away."""

    threat: str
    act: Act
    swap: Swap


class Attacks(list[Attack]):
    """The attacks of one module."""

    def against(self, threat: str, swap: Swap) -> Callable[[Act], Act]:
        """Add a function under its threat, with what takes the protection away."""

        def add(act: Act) -> Act:
            self.append(Attack(threat, act, swap))
            return act

        return add


def replaced(target: Any, name: str, value: Any) -> Swap:
    """The swap that puts something else in a part's place."""
    return lambda patch: patch.setattr(target, name, value)


def both(*swaps: Swap) -> Swap:
    """Several at once."""

    def swap_all(patch: pytest.MonkeyPatch) -> None:
        for swap in swaps:
            swap(patch)

    return swap_all
