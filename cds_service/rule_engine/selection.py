"""Choosing entries: the windows, sites and relations that a condition or finding criterion narrows by."""

from __future__ import annotations

import functools
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime

from cds_service.coding import Site
from cds_service.derive.age import is_at_least
from cds_service.derive.conditions import OlderBySite, counts, is_confirmed, is_new, older_by_site
from cds_service.derive.findings import Finding
from cds_service.partial_date import PartialDate
from cds_service.record import ConditionEntry
from cds_service.rule_engine import sites
from cds_service.rule_engine.criterion import Criterion
from cds_service.rule_engine.inquiry import Inquiry, newest_onset, onset_of
from cds_service.rule_engine.model import Status
from cds_service.rule_engine.narrowing import Narrow, Sited, each
from cds_service.rule_engine.relations import just_before, not_before


def status_filter(criterion: Criterion) -> Callable[[ConditionEntry], bool]:
    """Not refuted or entered in error; ``confirmed`` asks for confC as well."""
    return is_confirmed if criterion.confirmed else counts


def narrowings(criterion: Criterion) -> tuple[Narrow, ...]:
    """The steps that narrow a list of entries, in the order in which a reader would apply them."""
    steps: list[Narrow] = []
    for wanted, step in (
        (criterion.only, _only),
        (criterion.without, _without),
        (criterion.undated_only, _undated),
        (criterion.new_within_days, _new),
        (criterion.within_days, _within),
        (criterion.onset_age_below, _younger_at_onset),
        (criterion.older_than_days, _older),
        (criterion.since_steroid_start, _since_steroid_start),
        (criterion.newer_than, _newer_than),
        (criterion.unless_known_at_site, _unless_known_at_site),
        (criterion.same_limb_as, sites.same_limb_step),
        (criterion.not_same_limb_as, sites.other_limb_step),
        (criterion.not_same_place_as, sites.elsewhere_step),
        (criterion.since, _since),
        (criterion.before, _before),
        (criterion.near, _near),
        (criterion.recorded_after, _recorded_after),
        (criterion.same_finding_as, _same_finding),
        (criterion.not_taken_by, _not_taken),
        (criterion.not_silenced_by, _not_silenced),
        (criterion.limb, sites.limb_step),
        (criterion.site, sites.site_step),
        (criterion.two_entries_apart_days, _two_apart),
        (criterion.two_recordings_apart_days, _recorded_twice),
    ):
        if wanted:
            steps.append(step(criterion))
    return tuple(steps)


def _condition(entry: Sited) -> ConditionEntry | None:
    inner = entry.entry if isinstance(entry, Finding) else entry
    return inner if isinstance(inner, ConditionEntry) else None


def _without(criterion: Criterion) -> Narrow:
    barred = frozenset(criterion.without)
    return each(lambda entry, _: barred.isdisjoint((entry.entry if isinstance(entry, Finding) else entry).sets))


def _only(criterion: Criterion) -> Narrow:
    wanted = frozenset(criterion.only)
    return each(lambda entry, _: not wanted.isdisjoint((entry.entry if isinstance(entry, Finding) else entry).sets))


def _undated(_: Criterion) -> Narrow:
    return each(lambda entry, _: entry.onset is None)


def _new(criterion: Criterion) -> Narrow:
    days, red_flag = criterion.new_within_days or 0, criterion.red_flag
    sets = frozenset(criterion.condition or criterion.finding)

    def narrow(entries: list[Sited], inquiry: Inquiry) -> list[Sited]:
        @functools.cache
        def older(same: frozenset[str]) -> OlderBySite:  # B-01: of the same value sets
            return older_by_site(inquiry.index.conditions.of(same), days, inquiry.as_of, red_flag=red_flag)

        return [
            entry
            for entry in entries
            if (condition := _condition(entry)) is not None
            and is_new(condition, days, inquiry.as_of, older=older(sets & condition.sets), red_flag=red_flag)
        ]

    return narrow


def _dated(entry: Sited, criterion: Criterion) -> PartialDate | None:
    return onset_of(entry) if criterion.recorded_stands_in else entry.onset


def _within(criterion: Criterion) -> Narrow:
    days = criterion.within_days or 0
    return each(
        lambda entry, inquiry: (
            (dated := _dated(entry, criterion)) is not None and dated.within_days(days, inquiry.as_of)
        )
    )


def _younger_at_onset(criterion: Criterion) -> Narrow:
    """The patient's age at onset, else at recording; an age that cannot be told is not below (A-37)."""
    limit = criterion.onset_age_below or 0

    def keep(entry: Sited, inquiry: Inquiry) -> bool:
        when, birth_date = onset_of(entry), inquiry.record.birth_date
        if birth_date is None:
            return True  # the criterion answers unknown
        return when is not None and is_at_least(limit, birth_date, when.latest) is False

    return each(keep)


def _older(criterion: Criterion) -> Narrow:
    days, undated_counts = criterion.older_than_days or 0, criterion.undated_counts

    def keep(entry: Sited, inquiry: Inquiry) -> bool:
        dated = _dated(entry, criterion)
        if dated is not None and _straddles(dated, days, inquiry.as_of):  # B-93: counts as undated
            dated = entry.recorded if criterion.recorded_stands_in and dated is entry.onset else None
        if dated is None or _straddles(dated, days, inquiry.as_of):
            return undated_counts
        return dated.older_than_days(days, inquiry.as_of)

    return each(keep)


def _straddles(dated: PartialDate, days: float, as_of: datetime) -> bool:
    """A month or a year of which some days are so old and others are not."""
    if dated.precision in ("day", "instant"):
        return False
    return not (dated.older_than_days(days, as_of) or dated.within_days(days, as_of) or dated.is_future(as_of))


def _since_steroid_start(_: Criterion) -> Narrow:
    """Began on or after the first day of the course. Without an onset it may have, unless recorded before that day."""

    def keep(entry: Sited, inquiry: Inquiry) -> bool:
        started, known = inquiry.facts.exposure.started, onset_of(entry)
        return started is None or known is None or known.last_day >= started

    return each(keep)


def _newer_than(criterion: Criterion) -> Narrow:
    name = criterion.newer_than or ""

    def narrow(entries: list[Sited], inquiry: Inquiry) -> list[Sited]:
        known = inquiry.ask(name)
        if not known.value:
            return entries
        limit = newest_onset(known.entries)
        return [e for e in entries if (began := onset_of(e)) is not None and (limit is None or began > limit)]

    return narrow


def _unless_known_at_site(criterion: Criterion) -> Narrow:
    name = criterion.unless_known_at_site or ""

    def narrow(entries: list[Sited], inquiry: Inquiry) -> list[Sited]:
        known = [k for k in inquiry.ask(name).entries if isinstance(k, ConditionEntry | Finding)]
        since = _newest_at_limb(known)
        return [e for e in entries if not _is_explained(e, since)]

    return narrow


def _newest_at_limb(known: Iterable[Sited]) -> dict[Site, PartialDate | None]:
    """When the newest known disease of each limb began; None where one could have begun at any time."""
    newest: dict[Site, PartialDate | None] = {}
    for one in filter(lambda one: sites.is_one_limb(one.site), known):
        began, other = onset_of(one), newest.get(one.site, onset_of(one))
        newest[one.site] = None if began is None or other is None else max(began, other)
    return newest


def _is_explained(entry: Sited, since: Mapping[Site, PartialDate | None]) -> bool:
    """A known disease explains a deficit of the same limb and side that is not newer than it (B-27, B-72)."""
    if entry.site not in since:
        return False
    newest, began = since[entry.site], onset_of(entry)
    return newest is None or began is None or began <= newest


def _since(criterion: Criterion) -> Narrow:
    """Began, or was recorded, not before the newest entry of the other criterion: of this stay, or after that sign."""
    return each(
        lambda entry, inquiry: any(
            dated is not None and not_before(dated, criterion, inquiry) for dated in (entry.onset, entry.recorded)
        )
    )


def _before(criterion: Criterion) -> Narrow:
    return each(
        lambda entry, inquiry: (dated := onset_of(entry)) is not None and just_before(dated, criterion, inquiry)
    )


def _near(criterion: Criterion) -> Narrow:
    """At most so many calendar days before or after any dated entry of the other criterion (B-78)."""
    name, most = criterion.near or "", criterion.near_days

    def narrow(entries: list[Sited], inquiry: Inquiry) -> list[Sited]:
        days = sorted({when.first_day for e in inquiry.ask(name).entries if (when := onset_of(e)) is not None})

        def is_near(day: date) -> bool:
            after = bisect_left(days, day)
            return any(abs((day - other).days) <= most for other in days[max(0, after - 1) : after + 1])

        return [e for e in entries if (when := onset_of(e)) is not None and is_near(when.first_day)]

    return narrow


def _recorded_after(criterion: Criterion) -> Narrow:
    """Recorded so many days after an entry of the other criterion at which the same finding was there (B-47)."""
    name, known, least = criterion.recorded_after or "", criterion.same_finding_as, criterion.recorded_days_after

    def narrow(entries: list[Sited], inquiry: Inquiry) -> list[Sited]:
        starts = sorted(
            when.last_day.toordinal() for e in inquiry.ask(name).entries if (when := onset_of(e)) is not None
        )
        began = _first_by_finding(inquiry.ask(known).entries if known else ())

        def keep(entry: Sited) -> bool:
            if entry.recorded is None:
                return False
            before = bisect_right(starts, entry.recorded.first_day.toordinal() - least)  # a year 1 has no day before
            first = began.get(entry.key) if isinstance(entry, Finding) else None
            return before > 0 and (first is None or first.toordinal() <= starts[before - 1])

        return [entry for entry in entries if keep(entry)]

    return narrow


def _first_by_finding(entries: Iterable[object]) -> dict[str, date]:
    """The first day on which each finding was there, of those that are dated."""
    first: dict[str, date] = {}
    for entry in entries:
        if isinstance(entry, Finding) and (when := onset_of(entry)) is not None:
            first[entry.key] = min(when.first_day, first.get(entry.key, when.first_day))
    return first


def _same_finding(criterion: Criterion) -> Narrow:
    name = criterion.same_finding_as or ""

    def narrow(entries: list[Sited], inquiry: Inquiry) -> list[Sited]:
        keys = {entry.key for entry in inquiry.ask(name).entries if isinstance(entry, Finding)}
        return [entry for entry in entries if isinstance(entry, Finding) and entry.key in keys]

    return narrow


def _not_taken(criterion: Criterion) -> Narrow:
    rules = criterion.not_taken_by

    def narrow(entries: list[Sited], inquiry: Inquiry) -> list[Sited]:
        taken = {key for rule in rules for key in taken_by(inquiry, rule)}
        return [entry for entry in entries if not isinstance(entry, Finding) or entry.key not in taken]

    return narrow


def _not_silenced(criterion: Criterion) -> Narrow:
    """Like ``not_taken_by``, but a rule that fired takes nothing (B-28)."""
    rules = criterion.not_silenced_by

    def narrow(entries: list[Sited], inquiry: Inquiry) -> list[Sited]:
        silenced = [a for rule in rules if (a := inquiry.earlier.get(rule)) and a.status is Status.SUPPRESSED]
        taken = {key for assessment in silenced for key in assessment.findings}
        return [entry for entry in entries if not isinstance(entry, Finding) or entry.key not in taken]

    return narrow


def taken_by(inquiry: Inquiry, rule: str) -> frozenset[str]:
    """The findings that a rule took: those it fired on, or that its silence covers (B-28, B-69, B-93)."""
    assessment = inquiry.earlier.get(rule)
    if assessment is None or assessment.status not in (Status.FIRED, Status.SUPPRESSED):
        return frozenset()
    return assessment.findings


def _two_apart(criterion: Criterion) -> Narrow:
    return _apart(criterion.two_entries_apart_days or 0, onset_of)


def _recorded_twice(criterion: Criterion) -> Narrow:
    """By the dates of recording, whatever the onset (B-93)."""
    return _apart(criterion.two_recordings_apart_days or 0, lambda entry: entry.recorded or entry.onset)


def _apart(days: int, date_of: Callable[[Sited], PartialDate | None]) -> Narrow:
    """All entries, where the first and the last of them are so many days apart."""

    def narrow(entries: list[Sited], _: Inquiry) -> list[Sited]:
        dates = [dated.first_day for entry in entries if (dated := date_of(entry)) is not None]
        return entries if dates and (max(dates) - min(dates)).days >= days else []

    return narrow
