"""What was done, ordered or seen: done(X, N) and underCare(specialty, N) of the specification (B-09, B-73)."""

from __future__ import annotations

from collections.abc import Callable

from cds_service.partial_date import PartialDate
from cds_service.record import ActivityEntry, ObservationEntry, SourceName, VisitEntry
from cds_service.rule_engine.inquiry import Inquiry, newest_onset
from cds_service.rule_engine.model import Criterion, Verdict

PERFORMED = {
    "Procedure": frozenset({"completed"}),
    "DiagnosticReport": frozenset({"final", "amended", "corrected", "appended"}),
}
ORDER_COUNTS = frozenset({"active", "on-hold", "completed"})
ORDER_OPEN = frozenset({"active", "on-hold"})
ORDER_INTENTS = frozenset({"order", "original-order", "reflex-order", "filler-order", "instance-order", None})
VISIT_NEVER = frozenset({"cancelled", "entered-in-error", "noshow", "planned", "proposed", "waitlist"})
APPOINTMENT_COMING = frozenset({"booked", "pending", "arrived", "checked-in", "fulfilled"})
DONE_SOURCES: tuple[SourceName, ...] = ("procedures", "reports", "orders", "observations")
SEEN_SOURCES: tuple[SourceName, ...] = ("encounters", "appointments", "orders")

Ask = Callable[[Inquiry], Verdict]


def is_performed(entry: ActivityEntry) -> bool:
    """A completed Procedure or a final report."""
    return entry.status in PERFORMED.get(entry.resource_type, frozenset())


def is_ordered(entry: ActivityEntry) -> bool:
    """A ServiceRequest that counts: an order, active, on hold or completed; never a proposal, draft or revoked one."""
    return entry.resource_type == "ServiceRequest" and entry.status in ORDER_COUNTS and entry.intent in ORDER_INTENTS


def is_open_order(entry: ActivityEntry) -> bool:
    """An order that still has to be carried out."""
    return is_ordered(entry) and entry.status in ORDER_OPEN


def done(criterion: Criterion) -> Ask:
    """done(X, N): performed, resulted or ordered inside the window, and not before the finding named by ``since``."""
    sets = frozenset(criterion.done)

    def counts(entry: ActivityEntry) -> bool:
        ordered = is_open_order(entry) if criterion.only_ordered else is_ordered(entry)
        if criterion.only_ordered:
            return ordered
        return is_performed(entry) or (criterion.ordered_counts and ordered)

    def ask(inquiry: Inquiry) -> Verdict:
        found: list[ActivityEntry | ObservationEntry] = [
            entry
            for entry in inquiry.record.activities
            if not sets.isdisjoint(entry.sets) and counts(entry) and _in_time(entry.date, criterion, inquiry)
        ]
        if not criterion.only_ordered:
            found += [
                result
                for result in inquiry.record.observations
                if not sets.isdisjoint(result.sets) and _in_time(result.effective, criterion, inquiry)
            ]
        return inquiry.verdict(found, DONE_SOURCES)

    return ask


def visit(criterion: Criterion) -> Ask:
    """underCare(specialty, N), or a stay by ``setting``. Orders and appointments count if ``ordered_counts``."""
    sets, settings = frozenset(criterion.visit), frozenset(criterion.setting)

    def counts(entry: VisitEntry, inquiry: Inquiry) -> bool:
        matches = not sets.isdisjoint(entry.specialties | entry.sets) or entry.setting in settings
        return matches and _happened(entry, criterion) and _visit_in_time(entry, criterion, inquiry)

    def ask(inquiry: Inquiry) -> Verdict:
        found: list[VisitEntry | ActivityEntry] = [v for v in inquiry.record.visits if counts(v, inquiry)]
        if criterion.ordered_counts:
            found += [a for a in inquiry.record.activities if _active_referral(a, sets)]
        return inquiry.verdict(found, SEEN_SOURCES)

    return ask


def _happened(entry: VisitEntry, criterion: Criterion) -> bool:
    if criterion.booked_only and entry.resource_type != "Appointment":
        return False
    if entry.resource_type == "Appointment":
        return criterion.ordered_counts and entry.status in APPOINTMENT_COMING
    return entry.status not in VISIT_NEVER


def _visit_in_time(entry: VisitEntry, criterion: Criterion, inquiry: Inquiry) -> bool:
    if criterion.open_now:
        return entry.status == "in-progress" and entry.end is None
    return _in_time(entry.start, criterion, inquiry, coming=entry.resource_type == "Appointment")


def planned_for(criterion: Criterion) -> Ask:
    """An active order or an appointment inside the window that cites one of the sets as its reason (B-10)."""
    sets = frozenset(criterion.planned_for)

    def ask(inquiry: Inquiry) -> Verdict:
        orders = [a for a in inquiry.record.activities if is_open_order(a) and not sets.isdisjoint(a.reason_sets)]
        booked = [
            v
            for v in inquiry.record.visits
            if v.resource_type == "Appointment"
            and v.status in APPOINTMENT_COMING
            and not sets.isdisjoint(v.reason_sets)
            and _in_time(v.start, criterion, inquiry, coming=True)
        ]
        return inquiry.verdict([*orders, *booked], ("orders", "appointments"))

    return ask


def _active_referral(entry: ActivityEntry, sets: frozenset[str]) -> bool:
    """An order that is still active counts whenever authored (B-73)."""
    return is_open_order(entry) and not sets.isdisjoint(entry.specialties | entry.sets)


def _in_time(dated: PartialDate | None, criterion: Criterion, inquiry: Inquiry, *, coming: bool = False) -> bool:
    if dated is None:
        return False
    if criterion.within_days is not None and not _recent(dated, criterion.within_days, inquiry, coming=coming):
        return False
    if criterion.since is None:
        return True
    began = newest_onset(inquiry.ask(criterion.since).entries)
    return criterion.undated_since_counts if began is None else dated.last_day >= began.first_day


def _recent(dated: PartialDate, days: float, inquiry: Inquiry, *, coming: bool) -> bool:
    return dated.within_days(days, inquiry.as_of) or (coming and dated.is_future(inquiry.as_of))
