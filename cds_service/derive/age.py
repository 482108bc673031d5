"""Age in completed years, when the birth date is whole enough to tell (A-12)."""

from __future__ import annotations

from datetime import datetime

from cds_service.partial_date import PartialDate


def age_in_years(birth_date: PartialDate | None, as_of: datetime) -> int | None:
    """Completed years; for a partial birth date only when every day it can mean gives the same age."""
    if birth_date is None:
        return None
    today = as_of.date()
    ages = {
        today.year - day.year - ((today.month, today.day) < (day.month, day.day))
        for day in (birth_date.first_day, birth_date.last_day)
    }
    return ages.pop() if len(ages) == 1 else None
