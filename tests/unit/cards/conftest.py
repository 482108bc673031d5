"""The deck of the shipped rules, loaded once: it never changes."""

from __future__ import annotations

import pytest

from cds_service.cards.knowledge import CardDeck, load_deck
from tests.unit.cards.builders import RULES


@pytest.fixture(scope="session")
def deck() -> CardDeck:
    return load_deck(RULES)
