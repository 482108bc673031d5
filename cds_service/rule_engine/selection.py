"""Choosing entries: the windows, sites and relations that a condition or finding criterion narrows by."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cds_service.coding import Site
from cds_service.derive.conditions import is_active, is_confirmed, is_new
from cds_service.derive.findings import Finding
from cds_service.partial_date import PartialDate
from cds_service.record import ConditionEntry
from cds_service.rule_engine.inquiry import Inquiry, newest_onset, onset_of
from cds_service.rule_engine.model import Criterion, Status

Sited = ConditionEntry | Finding
Keep = Callable[[Sited, Inquiry], bool]
Narrow = Callable[[list[Sited], Inquiry], list[Sited]]


def status_filter(criterion: Criterion) -> Keep:
    """activeC, or any entry not refuted or entered in error; ``confirmed`` asks for confC as well."""
    wants_active, wants_confirmed = criterion.status == "active", criterion.confirmed

    def keep(entry: Sited, inquiry: Inquiry) -> bool:
        if not isinstance(entry, ConditionEntry):
            return True
        if wants_confirmed and not is_confirmed(entry):
            return False
        return is_active(entry, inquiry.as_of) if wants_active else entry.verification_status not in _NEVER

    return keep


_NEVER = ("refuted", "entered-in-error")


def narrowings(criterion: Criterion) -> tuple[Narrow, ...]:
    """The steps that narrow a list of entries, in the order in which a reader would apply them."""
    steps: list[Narrow] = []
    for wanted, step in (
        (criterion.only, _only),
        (criterion.without, _without),
        (criterion.undated_only, _undated),
        (criterion.new_within_days, _new),
        (criterion.within_days, _within),
        (criterion.older_than_days, _older),
        (criterion.since_steroid_start, _since_steroid_start),
        (criterion.newer_than, _newer_than),
        (criterion.unless_known_at_site, _unless_known_at_site),
        (criterion.same_limb_as, _same_limb),
        (criterion.not_same_limb_as, _other_limb),
        (criterion.not_taken_by, _not_taken),
        (criterion.site, _site),
        (criterion.two_entries_apart_days, _two_apart),
    ):
        if wanted:
            steps.append(step(criterion))
    return tuple(steps)


def _each(keep: Keep) -> Narrow:
    return lambda entries, inquiry: [entry for entry in entries if keep(entry, inquiry)]


def _condition(entry: Sited) -> ConditionEntry | None:
    inner = entry.entry if isinstance(entry, Finding) else entry
    return inner if isinstance(inner, ConditionEntry) else None


def _without(criterion: Criterion) -> Narrow:
    barred = frozenset(criterion.without)
    return _each(lambda entry, _: barred.isdisjoint((entry.entry if isinstance(entry, Finding) else entry).sets))


def _only(criterion: Criterion) -> Narrow:
    wanted = frozenset(criterion.only)
    return _each(lambda entry, _: not wanted.isdisjoint((entry.entry if isinstance(entry, Finding) else entry).sets))


def _undated(_: Criterion) -> Narrow:
    return _each(lambda entry, _: entry.onset is None)


def _new(criterion: Criterion) -> Narrow:
    days, red_flag = criterion.new_within_days or 0, criterion.red_flag
    sets = frozenset(criterion.condition or criterion.finding)

    def narrow(entries: list[Sited], inquiry: Inquiry) -> list[Sited]:
        others = [c for c in inquiry.record.conditions if not sets.isdisjoint(c.sets)]
        return [
            entry
            for entry in entries
            if (condition := _condition(entry)) is not None
            and is_new(condition, days, inquiry.as_of, others=others, red_flag=red_flag)
        ]

    return narrow


def _dated(entry: Sited, criterion: Criterion) -> PartialDate | None:
    return onset_of(entry) if criterion.recorded_stands_in else entry.onset


def _within(criterion: Criterion) -> Narrow:
    days = criterion.within_days or 0
    return _each(
        lambda entry, inquiry: (
            (dated := _dated(entry, criterion)) is not None and dated.within_days(days, inquiry.as_of)
        )
    )


def _older(criterion: Criterion) -> Narrow:
    days, undated_counts = criterion.older_than_days or 0, criterion.undated_counts

    def keep(entry: Sited, inquiry: Inquiry) -> bool:
        dated = _dated(entry, criterion)
        if dated is None:
            return undated_counts
        if dated.older_than_days(days, inquiry.as_of):
            return True
        return undated_counts and not dated.within_days(days, inquiry.as_of) and not dated.is_future(inquiry.as_of)

    return _each(keep)


def _since_steroid_start(_: Criterion) -> Narrow:
    def keep(entry: Sited, inquiry: Inquiry) -> bool:
        started = inquiry.facts.exposure.started
        return started is None or entry.onset is None or entry.onset.last_day >= started

    return _each(keep)


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
        return [e for e in entries if not any(_explains(k, e) for k in known)]

    return narrow


def _explains(known: Sited, entry: Sited) -> bool:
    """A known disease explains a deficit of the same limb and side that is not newer than it (B-27, B-72)."""
    if not same_limb(known.site, entry.site):
        return False
    since, began = onset_of(known), onset_of(entry)
    return since is None or began is None or began <= since


def same_limb(one: Site, other: Site) -> bool:
    """Same limb and side (B-72); an unsited entry is in no limb."""
    return one.limb is not None and one.side is not None and one == other


def _same_limb(criterion: Criterion) -> Narrow:
    name = criterion.same_limb_as or ""
    return _each(lambda entry, inquiry: any(same_limb(s, entry.site) for s in _sites(inquiry.ask(name).entries)))


def _other_limb(criterion: Criterion) -> Narrow:
    name = criterion.not_same_limb_as or ""
    return _each(lambda entry, inquiry: not any(same_limb(s, entry.site) for s in _sites(inquiry.ask(name).entries)))


def _sites(entries: Iterable[object]) -> list[Site]:
    return [entry.site for entry in entries if isinstance(entry, ConditionEntry | Finding)]


def _not_taken(criterion: Criterion) -> Narrow:
    rules = criterion.not_taken_by

    def narrow(entries: list[Sited], inquiry: Inquiry) -> list[Sited]:
        taken = {key for rule in rules for key in taken_by(inquiry, rule)}
        return [entry for entry in entries if not isinstance(entry, Finding) or entry.key not in taken]

    return narrow


def taken_by(inquiry: Inquiry, rule: str) -> frozenset[str]:
    """The findings that a rule took: those it fired on, or that its silence covers (B-28, B-69, B-93)."""
    assessment = inquiry.earlier.get(rule)
    if assessment is None or assessment.status not in (Status.FIRED, Status.SUPPRESSED):
        return frozenset()
    return assessment.findings


def _site(criterion: Criterion) -> Narrow:
    return {"one-limb": _one_limb, "both-sides": _both_sides, "one-side": _one_side}[criterion.site or "one-side"]


def _one_side(entries: list[Sited], _: Inquiry) -> list[Sited]:
    return [entry for entry in entries if entry.site.side in ("left", "right")]


def _one_limb(entries: list[Sited], _: Inquiry) -> list[Sited]:
    sited = [entry for entry in entries if entry.site.side in ("left", "right") and entry.site.limb]
    return sited if len({entry.site for entry in sited}) == 1 else []


def _both_sides(entries: list[Sited], _: Inquiry) -> list[Sited]:
    """A left and a right entry, or a bilateral one (A-10, B-05)."""
    both = [entry for entry in entries if entry.site.side == "bilateral"]
    sides = {entry.site.side for entry in entries}
    return [e for e in entries if e.site.side is not None] if {"left", "right"} <= sides else both


def _two_apart(criterion: Criterion) -> Narrow:
    days = criterion.two_entries_apart_days or 0

    def narrow(entries: list[Sited], _: Inquiry) -> list[Sited]:
        dated = sorted((onset.first_day, i) for i, e in enumerate(entries) if (onset := onset_of(e)) is not None)
        return entries if dated and (dated[-1][0] - dated[0][0]).days >= days else []

    return narrow
