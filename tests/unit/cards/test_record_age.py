"""As of when a card speaks, and how old its facts are."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from cds_service.cards.knowledge import CardDeck
from cds_service.cards.record_age import record_age
from cds_service.partial_date import parse_partial_date
from cds_service.rule_engine.model import Fact

AS_OF = datetime(2026, 11, 27, 9, 5, tzinfo=ZoneInfo("Europe/London"))


@pytest.mark.parametrize(
    ("dates", "said"),
    [
        ([], "Record as of 2026-11-27 09:05 GMT."),
        ([None], "Record as of 2026-11-27 09:05 GMT."),
        (["2026-11-27"], "Record as of 2026-11-27 09:05 GMT; age of the facts above: 0 days."),
        (["2026-11-26"], "Record as of 2026-11-27 09:05 GMT; age of the facts above: 1 day."),
        (["2026-10-28", None], "Record as of 2026-11-27 09:05 GMT; age of the facts above: 30 days."),
        (
            ["2026-10-28", "2014", "2026-11-25T23:30:00Z"],
            "Record as of 2026-11-27 09:05 GMT; age of the facts above: 2 days to 11 years.",
        ),
        (
            ["2024-11-28", "2024-11-27"],
            "Record as of 2026-11-27 09:05 GMT; age of the facts above: 729 days to 2 years.",
        ),
    ],
)
def test_the_moment_at_the_site_and_the_age_of_the_facts(deck: CardDeck, dates: list[str | None], said: str) -> None:
    facts = [Fact(f"Condition/{at}", "a fact", date=date) for at, date in enumerate(dates)]
    assert record_age(facts, AS_OF, deck.cards.words) == said


def test_b60_an_onset_that_is_written_as_an_age_has_the_age_of_its_day(deck: CardDeck) -> None:
    began = parse_partial_date("2016", AS_OF.tzinfo)
    facts = [Fact("Condition/1", "a fact", date="at the age of 15 years", date_kind="onset", began=began)]
    assert record_age(facts, AS_OF, deck.cards.words).endswith("above: 9 years.")
    assert record_age([Fact("Condition/1", "a fact", date="in words")], AS_OF, deck.cards.words).endswith("GMT.")
