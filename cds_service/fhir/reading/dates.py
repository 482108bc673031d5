"""FHIR's choices for "when" as PartialDates in the site's zone (A-65, B-60)."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta, tzinfo

from cds_service.fhir.datatypes import Period, Quantity
from cds_service.partial_date import CLOCK_TOLERANCE, PartialDate, Precision, parse_partial_date

_LONGEST = 40
_MONTHS_PER_YEAR = 12
_UNIT_LIMIT = 20
_OLDEST = 150

# UCUM codes (https://ucum.org) and the words that charts write instead, in days.
_DAYS = {
    **dict.fromkeys(("s", "second", "seconds"), 1 / 86_400),
    **dict.fromkeys(("min", "minute", "minutes"), 1 / 1_440),
    **dict.fromkeys(("h", "hour", "hours"), 1 / 24),
    **dict.fromkeys(("d", "day", "days"), 1.0),
    **dict.fromkeys(("wk", "week", "weeks"), 7.0),
    **dict.fromkeys(("mo", "month", "months"), 30.4375),
    **dict.fromkeys(("a", "year", "years"), 365.25),
}
_YEARS = frozenset({"a", "year", "years"})
_MONTHS = frozenset({"mo", "month", "months"})


class Clock:
    """Reads dates in the site's zone and remembers whether one could not be read."""

    def __init__(self, as_of: datetime) -> None:
        self.zone: tzinfo = as_of.tzinfo or UTC
        self.failed = False
        self._horizon = as_of + CLOCK_TOLERANCE

    def read(self, first: str | None, second: str | None = None) -> PartialDate | None:
        """The first text that is given. None when none is, or when it is no FHIR date (then ``failed`` is set)."""
        text = first or second
        if not text:
            return None
        try:
            if len(text) <= _LONGEST:
                return parse_partial_date(text, self.zone)
        except (ValueError, OverflowError):
            pass
        self.failed = True
        return None

    def end_or_start(self, period: Period | None) -> PartialDate | None:
        """When something that lasted was over, or when it began if no end is written."""
        return self.read(period.end, period.start) if period else None

    def is_ahead(self, moment: PartialDate | None) -> bool:
        """More than 24 h ahead: an error in the data (A-48)."""
        return moment is not None and moment.earliest > self._horizon

    def at_age(self, birth: PartialDate | None, age: Quantity | None) -> PartialDate | None:
        """Birth date plus an age, with the precision of the age's unit (B-60): at 30 years is a whole year."""
        if birth is None or age is None or age.value is None:
            return None
        unit = (age.code or age.unit or "").strip().lower()
        days = _DAYS.get(unit)
        if days is None or not 0 <= age.value * days <= _OLDEST * 366:
            return None
        number = int(age.value)
        if unit in _YEARS or unit in _MONTHS:
            months = _MONTHS_PER_YEAR if unit in _YEARS else 1
            first = _add_months(birth.first_day, number * months)
            last = _add_months(birth.last_day, (number + 1) * months) - timedelta(days=1)
            precision: Precision = "year" if unit in _YEARS else "month"
        else:
            first = birth.first_day + timedelta(days=int(number * days))
            last = birth.last_day + timedelta(days=max(int((number + 1) * days) - 1, int(number * days)))
            precision = "day" if first == last else "month"
        return self._days(first, last, precision, f"age {age.value:g} {(age.unit or unit)[:_UNIT_LIMIT]}")

    def _days(self, first: date, last: date, precision: Precision, text: str) -> PartialDate:
        earliest = datetime(first.year, first.month, first.day, tzinfo=self.zone)
        latest = datetime(last.year, last.month, last.day, 23, 59, 59, 999999, tzinfo=self.zone)
        return PartialDate(earliest, latest, precision, text)


def in_days(duration: Quantity | None) -> float | None:
    """A Duration in days; None for an unknown unit. Months and years as UCUM defines them (30.4375 and 365.25 d)."""
    if duration is None or duration.value is None:
        return None
    factor = _DAYS.get((duration.code or duration.unit or "").strip().lower())
    return duration.value * factor if factor is not None else None


def _add_months(day: date, months: int) -> date:
    year, month = divmod(day.year * _MONTHS_PER_YEAR + day.month - 1 + months, _MONTHS_PER_YEAR)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
