"""What was done, ordered, planned or seen: done(X, N) and underCare(specialty, N) of the specification (B-09, B-73)."""

from __future__ import annotations

from collections.abc import Callable

from cds_service.derive.index import setting_key
from cds_service.partial_date import PartialDate
from cds_service.record import ActivityEntry, ObservationEntry, SourceName, VisitEntry
from cds_service.rule_engine.criterion import Criterion
from cds_service.rule_engine.inquiry import Inquiry
from cds_service.rule_engine.model import Verdict
from cds_service.rule_engine.relations import Ask, in_time, not_before, related

PERFORMED = {
    "Procedure": frozenset({"completed"}),
    "DiagnosticReport": frozenset({"final", "amended", "corrected", "appended"}),
}
ORDER_COUNTS = frozenset({"active", "on-hold", "completed"})
ORDER_OPEN = frozenset({"active", "on-hold"})
ORDER_INTENTS = frozenset({"order", "original-order", "reflex-order", "filler-order", "instance-order", None})
VISIT_NEVER = frozenset({"cancelled", "entered-in-error", "noshow", "planned", "proposed", "waitlist"})
STAY_OVER = frozenset({"finished", "unknown"})
APPOINTMENT_COMING = frozenset({"booked", "pending", "arrived", "checked-in", "fulfilled"})
DONE_SOURCES: tuple[SourceName, ...] = ("procedures", "reports", "orders", "observations")
SEEN_SOURCES: tuple[SourceName, ...] = ("encounters", "appointments", "orders")


def is_performed(entry: ActivityEntry) -> bool:
    """A completed Procedure or a final report."""
    return entry.status in PERFORMED.get(entry.resource_type, frozenset())


def is_ordered(entry: ActivityEntry) -> bool:
    """A ServiceRequest that counts: an order, active, on hold or completed; never a proposal, draft or revoked one."""
    return entry.resource_type == "ServiceRequest" and entry.status in ORDER_COUNTS and entry.intent in ORDER_INTENTS


def is_open_order(entry: ActivityEntry) -> bool:
    """An order that still has to be carried out."""
    return is_ordered(entry) and entry.status in ORDER_OPEN


def is_under_way(entry: ActivityEntry) -> bool:
    """An open order, or a Procedure in progress (A-44)."""
    return is_open_order(entry) or (entry.resource_type == "Procedure" and entry.status == "in-progress")


def _is_planned(entry: ActivityEntry) -> bool:
    """A care plan that runs, pauses or was completed."""
    return entry.resource_type == "CarePlan" and entry.status in ORDER_COUNTS


def done(criterion: Criterion) -> Ask:
    """done(X, N): performed, resulted or ordered inside the window, and not before the finding named by ``since``."""
    sets, timely, counts = criterion.done, in_time(criterion), _counts_as_done(criterion)
    planned_too = criterion.care_plan_counts
    sources: tuple[SourceName, ...] = (*DONE_SOURCES, "carePlans") if planned_too else DONE_SOURCES

    def ask(inquiry: Inquiry) -> Verdict:
        found: list[ActivityEntry | ObservationEntry] = [
            entry
            for entry in inquiry.index.activities.of(sets)
            if (counts(entry) or (planned_too and _is_planned(entry))) and timely(entry.date, inquiry)
        ]
        if not (criterion.only_ordered or criterion.under_way):
            found += [o for o in inquiry.index.observations.of(sets) if timely(o.effective, inquiry)]
        return inquiry.verdict(found, sources)

    return ask


def _counts_as_done(criterion: Criterion) -> Callable[[ActivityEntry], bool]:
    """Open orders count if ``ordered_counts``; completed ones also with ``completed_order_counts`` (B-96).

    ``only_ordered`` and ``under_way`` leave out what was performed.
    """
    if criterion.under_way:
        return is_under_way
    if criterion.only_ordered:
        return is_open_order
    if criterion.ordered_counts:
        return lambda entry: is_performed(entry) or is_ordered(entry)
    if criterion.completed_order_counts:
        return lambda entry: is_performed(entry) or (is_ordered(entry) and entry.status == "completed")
    return is_performed


def visit(criterion: Criterion) -> Ask:
    """underCare(specialty, N), or a stay by ``setting``. Orders and appointments count if ``ordered_counts``.

    An order that was carried out counts inside the window, with ``completed_order_counts``.
    """
    sets = criterion.visit
    looked_up = (*sets, *(setting_key(setting) for setting in criterion.setting))
    stays = criterion.stay_days_at_least is not None

    def ask(inquiry: Inquiry) -> Verdict:
        found: list[VisitEntry | ActivityEntry] = [
            v
            for v in inquiry.index.visits.of(looked_up)
            if _happened(v, criterion)
            and (_long_stay(v, criterion, inquiry) if stays else _visit_in_time(v, criterion, inquiry))
        ]
        if criterion.ordered_counts and sets and not stays:
            found += [
                a
                for a in inquiry.index.activities_for.of(sets)
                if _active_referral(a, criterion, inquiry) or _completed_referral(a, criterion, inquiry)
            ]
        return inquiry.verdict(found, SEEN_SOURCES)

    return ask


def _happened(entry: VisitEntry, criterion: Criterion) -> bool:
    if criterion.booked_only and entry.resource_type != "Appointment":
        return False
    if entry.resource_type == "Appointment":
        return criterion.ordered_counts and entry.status in APPOINTMENT_COMING
    return entry.status not in VISIT_NEVER


def _visit_in_time(entry: VisitEntry, criterion: Criterion, inquiry: Inquiry) -> bool:
    if criterion.open_now and (entry.status != "in-progress" or entry.end is not None):
        return False
    if criterion.open_now and criterion.within_days is None:
        return True
    return _seen_in_time(entry.start, criterion, inquiry, coming=entry.resource_type == "Appointment")


def _long_stay(entry: VisitEntry, criterion: Criterion, inquiry: Inquiry) -> bool:
    """A stay so many days long that overlaps the window; one that is still open lasts until today (A-69, B-41).

    ``older_than_days`` counts from its end.
    """
    if entry.resource_type != "Encounter" or entry.start is None or entry.start.is_future(inquiry.as_of):
        return False
    if entry.end is None and entry.status in STAY_OVER:
        return False
    today = inquiry.as_of.date()
    last = today if entry.end is None else min(entry.end.first_day, today)
    long = (last - entry.start.last_day).days >= (criterion.stay_days_at_least or 0)
    ended_days_ago, window, older = (today - last).days, criterion.within_days, criterion.older_than_days
    return long and (window is None or ended_days_ago <= window) and (older is None or ended_days_ago > older)


def planned_for(criterion: Criterion) -> Ask:
    """An open order or a coming or kept appointment that names one of these diseases as its reason (B-10)."""
    sets = frozenset(criterion.planned_for)

    def ask(inquiry: Inquiry) -> Verdict:
        orders = [a for a in inquiry.record.activities if is_open_order(a) and not sets.isdisjoint(a.reason_sets)]
        booked = [
            v
            for v in inquiry.record.visits
            if v.resource_type == "Appointment"
            and v.status in APPOINTMENT_COMING
            and not sets.isdisjoint(v.reason_sets)
            and _seen_in_time(v.start, criterion, inquiry, coming=True)
        ]
        return inquiry.verdict([*orders, *booked], ("orders", "appointments"))

    return ask


def plan(criterion: Criterion) -> Ask:
    """An order or a care plan of these sets, begun between so many days ago (A-43, B-47); or the first of them."""
    sets, least, most = criterion.plan, criterion.plan_days_at_least, criterion.plan_days_at_most

    def ask(inquiry: Inquiry) -> Verdict:
        found = [
            (a.date, a)
            for a in inquiry.index.activities_for.of(sets)
            if (is_ordered(a) or _is_planned(a))
            and a.date is not None
            and not a.date.is_future(inquiry.as_of)
            and (least is None or a.date.older_than_days(least - 1, inquiry.as_of))
            and (most is None or a.date.within_days(most, inquiry.as_of))
        ]
        if criterion.first_plan_only:
            found = sorted(found, key=lambda dated: dated[0])[:1]
        return inquiry.verdict([entry for _, entry in found], ("orders", "carePlans"))

    return ask


def _active_referral(entry: ActivityEntry, criterion: Criterion, inquiry: Inquiry) -> bool:
    """An order that is still active counts whenever authored (B-73) or for ``open_order_days`` (B-89, B-94)."""
    if not is_open_order(entry):
        return False
    if criterion.order_since and criterion.since is not None:
        return entry.date is not None and not_before(entry.date, criterion, inquiry)
    days = criterion.open_order_days
    return days is None or (entry.date is not None and entry.date.within_days(days, inquiry.as_of))


def _completed_referral(entry: ActivityEntry, criterion: Criterion, inquiry: Inquiry) -> bool:
    """Inside the window like a visit: R18 (B-89: "visits and orders"), R25 ("specialist referral")."""
    if not (criterion.completed_order_counts and is_ordered(entry) and entry.status == "completed"):
        return False
    return _seen_in_time(entry.date, criterion, inquiry)


def _seen_in_time(dated: PartialDate | None, criterion: Criterion, inquiry: Inquiry, *, coming: bool = False) -> bool:
    if dated is None:
        return False
    if criterion.within_days is not None and not _recent(dated, criterion.within_days, inquiry, coming=coming):
        return False
    return related(dated, criterion, inquiry)


def _recent(dated: PartialDate, days: float, inquiry: Inquiry, *, coming: bool) -> bool:
    return dated.within_days(days, inquiry.as_of) or (coming and dated.is_future(inquiry.as_of))
