"""FHIR dates as they are written: a year, a month, a day or an instant; and the windows that rules ask about.

Rulings held here: A-65 (site time zone; a date is its whole day), B-60 and B-93 (a partial date satisfies a window
only when all its days lie in it), B-83 (calendar days for dates, exact time for dateTimes), and B-60 again for
"up to 24 h ahead counts as now".
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal

import msgspec

Precision = Literal["year", "month", "day", "instant"]

_YEAR = re.compile(r"\d{4}")
_MONTH = re.compile(r"(\d{4})-(\d{2})")
_LONG_FRACTION = re.compile(r"(\.\d{6})\d+")
CLOCK_TOLERANCE = timedelta(hours=24)
_FIRST_MOMENT, _LAST_MOMENT = time.min, time.max


class PartialDate(msgspec.Struct, frozen=True, gc=False, order=True):
    """The first and the last moment that a FHIR date can mean. Both ends are aware datetimes."""

    earliest: datetime
    latest: datetime
    precision: Precision
    text: str

    @property
    def first_day(self) -> date:
        return self.earliest.date()

    @property
    def last_day(self) -> date:
        return self.latest.date()

    def is_future(self, as_of: datetime) -> bool:
        """More than 24 h ahead: an error in the data, not a fact (A-48)."""
        return self.earliest > as_of + CLOCK_TOLERANCE

    def within_days(self, days: float, as_of: datetime) -> bool:
        """True when every moment this date can mean lies in the last ``days`` days (and not in the future)."""
        if self.is_future(as_of):
            return False
        if self.precision == "instant":
            return as_of - self.earliest <= timedelta(days=days)
        return (as_of.date() - self.first_day).days <= days

    def within_hours(self, hours: float, as_of: datetime) -> bool:
        """For red flags: True when any moment of this instant or day lies in the last ``hours`` hours (A-65)."""
        if self.is_future(as_of) or self.precision in ("year", "month"):
            return False
        return self.latest >= as_of - timedelta(hours=hours)

    def older_than_days(self, days: float, as_of: datetime) -> bool:
        """True when every moment this date can mean is more than ``days`` days ago; a straddling date is not (B-93)."""
        if self.precision == "instant":
            return as_of - self.earliest > timedelta(days=days)
        return (as_of.date() - self.last_day).days > days

    def is_before(self, other: PartialDate) -> bool:
        """Earlier than ``other``: exactly where both are instants, else by whole calendar days (B-83)."""
        if self.precision == other.precision == "instant":
            return self.earliest < other.earliest
        return self.last_day < other.first_day

    def days_ago(self, as_of: datetime) -> int:
        """Calendar days between the latest day meant and today, never below 0."""
        return max(0, (as_of.date() - min(self.last_day, as_of.date())).days)


def parse_partial_date(text: str, zone: tzinfo) -> PartialDate:
    """Read ``YYYY``, ``YYYY-MM``, ``YYYY-MM-DD`` or a dateTime/instant. A time without offset is in the site's zone.

    Raises ValueError for anything else.
    """
    if len(text) > len("YYYY-MM-DD"):
        return _instant(text, zone)
    if len(text) == len("YYYY-MM-DD"):
        day = date.fromisoformat(text)
        return _days(day, day, "day", text, zone)
    if month := _MONTH.fullmatch(text):
        year, number = int(month[1]), int(month[2])
        last = calendar.monthrange(year, number)[1] if 1 <= number <= 12 else 0  # noqa: PLR2004 - months
        return _days(date(year, number, 1), date(year, number, last), "month", text, zone)
    if _YEAR.fullmatch(text):
        return _days(date(int(text), 1, 1), date(int(text), 12, 31), "year", text, zone)
    raise ValueError("not a FHIR date")


def _instant(text: str, zone: tzinfo) -> PartialDate:
    moment = datetime.fromisoformat(_LONG_FRACTION.sub(r"\1", text) if "." in text else text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    elif moment.tzinfo is not zone:
        moment = moment.astimezone(zone)
    return PartialDate(moment, moment, "instant", text)


def _days(first: date, last: date, precision: Precision, text: str, zone: tzinfo) -> PartialDate:
    earliest = datetime.combine(first, _FIRST_MOMENT, zone)
    return PartialDate(earliest, datetime.combine(last, _LAST_MOMENT, zone), precision, text)


def end_of_day(day: date, zone: tzinfo = UTC) -> datetime:
    """The last moment of a day in the site's zone: what a plain date means as ``as_of``."""
    return datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=zone)
