"""When a dated thing counts: inside the window, after or before what another criterion found (A-35, B-83)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from cds_service.partial_date import PartialDate
from cds_service.rule_engine.criterion import Criterion
from cds_service.rule_engine.inquiry import Inquiry, newest_onset, onset_of
from cds_service.rule_engine.model import Verdict

Ask = Callable[[Inquiry], Verdict]
InTime = Callable[[PartialDate | None, Inquiry], bool]


def in_time(criterion: Criterion) -> InTime:
    """``within_days``, ``older_than_days`` and what relates to other criteria; what has no date is in none."""
    days, older = criterion.within_days, criterion.older_than_days

    def keep(dated: PartialDate | None, inquiry: Inquiry) -> bool:
        if dated is None or dated.is_future(inquiry.as_of):
            return False
        if days is not None and not dated.within_days(days, inquiry.as_of):
            return False
        if older is not None and not dated.older_than_days(older, inquiry.as_of):
            return False
        return related(dated, criterion, inquiry)

    return keep


def related(dated: PartialDate, criterion: Criterion, inquiry: Inquiry) -> bool:
    """As ``since``, ``before`` and ``newer_than`` ask, each where it is given."""
    return (
        (criterion.since is None or not_before(dated, criterion, inquiry))
        and (criterion.before is None or just_before(dated, criterion, inquiry))
        and (criterion.newer_than is None or _on_a_later_day(dated, criterion.newer_than, inquiry))
    )


def _on_a_later_day(dated: PartialDate, name: str, inquiry: Inquiry) -> bool:
    """Than the newest entry of another criterion; whenever, where that found nothing."""
    limit = newest_onset(inquiry.ask(name).entries)
    return limit is None or dated.first_day > limit.last_day


def not_before(dated: PartialDate, criterion: Criterion, inquiry: Inquiry) -> bool:
    """Not earlier than the newest entry of the criterion ``since``, or at most ``slack_days`` before it.

    Where that entry is undated as the criterion says.
    """
    began = newest_onset(inquiry.ask(criterion.since or "").entries)
    if began is None:
        return criterion.undated_since_counts
    if criterion.slack_days:
        return (began.first_day - dated.last_day).days <= criterion.slack_days
    return not dated.is_before(began)


def just_before(dated: PartialDate, criterion: Criterion, inquiry: Inquiry) -> bool:
    """Not after the newest entry of the criterion ``before``, and at most so many days before it (A-35)."""
    dates = [onset for e in inquiry.ask(criterion.before or "").entries if (onset := onset_of(e)) is not None]
    if not dates:
        return False
    event = max(dates)
    most = criterion.at_most_days_before
    if dated.precision == event.precision == "instant":
        gap = event.earliest - dated.earliest
        return gap >= timedelta(0) and (most is None or gap <= timedelta(days=most))
    days = (event.last_day - dated.first_day).days
    return days >= 0 and dated.first_day <= event.last_day and (most is None or days <= most)
