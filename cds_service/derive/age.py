"""Age in completed years, as far as the birth date tells it (A-12)."""

from __future__ import annotations

from datetime import datetime

from cds_service.partial_date import PartialDate


def age_in_years(birth_date: PartialDate | None, as_of: datetime) -> int | None:
    """Completed years; for a partial birth date only when every day it can mean gives the same age."""
    ages = _ages(birth_date, as_of)
    return ages.pop() if len(ages) == 1 else None


def is_at_least(years: float, birth_date: PartialDate | None, as_of: datetime) -> bool | None:
    """Whether somebody is that old; None when the birth date cannot tell. A year alone often can."""
    answers = {age >= years for age in _ages(birth_date, as_of)}
    return answers.pop() if len(answers) == 1 else None


def _ages(birth_date: PartialDate | None, as_of: datetime) -> set[int]:
    if birth_date is None:
        return set()
    today = as_of.date()
    return {
        today.year - day.year - ((today.month, today.day) < (day.month, day.day))
        for day in (birth_date.first_day, birth_date.last_day)
    }
