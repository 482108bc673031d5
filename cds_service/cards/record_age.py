"""As of when a card speaks, and how old the facts are that it rests on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from cds_service.cards.knowledge import Words
from cds_service.partial_date import PartialDate, parse_partial_date
from cds_service.rule_engine.model import Fact

DAYS_OF_A_YEAR = 365


def record_age(facts: Iterable[Fact], as_of: datetime, words: Words) -> str:
    """The moment at the site, to the minute, and the age of the newest and the oldest dated fact."""
    moment = f"{as_of:%Y-%m-%d %H:%M %Z}"
    days = sorted(when.days_ago(as_of) for fact in facts if (when := _when(fact, as_of)) is not None)
    if not days:
        return words.as_of.format(moment=moment)
    ages = tuple(dict.fromkeys(_in_words(n, words) for n in (days[0], days[-1])))
    said = ages[0] if len(ages) == 1 else words.from_to.format(youngest=ages[0], oldest=ages[1])
    return words.as_of_with_ages.format(moment=moment, ages=said)


def _when(fact: Fact, as_of: datetime) -> PartialDate | None:
    """The date of a fact; an onset may be written as an age."""
    if fact.began is not None or fact.date is None:
        return fact.began
    try:
        return parse_partial_date(fact.date, as_of.tzinfo or UTC)
    except ValueError:
        return None


def _in_words(days: int, words: Words) -> str:
    if days == 1:
        return words.day
    years = days // DAYS_OF_A_YEAR
    return words.years.format(n=years) if years > 1 else words.days.format(n=days)
