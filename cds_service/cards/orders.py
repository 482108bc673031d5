"""Which of the orders that fired rules offer may still be suggested: not what is done, under way or unfit (G6-G8, G11)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from cds_service.cards.order_knowledge import Caution, Order, OrderKnowledge
from cds_service.cds_hooks.response import Action, Json, Suggestion
from cds_service.derive.conditions import counts, is_active
from cds_service.derive.findings import Finding
from cds_service.partial_date import PartialDate, parse_partial_date
from cds_service.record import ConditionEntry, PatientRecord
from cds_service.rule_engine.care import APPOINTMENT_COMING, ORDER_OPEN, VISIT_NEVER, is_ordered, is_performed
from cds_service.rule_engine.model import Assessment, Facts

Reason = Literal["already-done", "under-care", "no-finding", "pregnancy", "settled"]
G6_OR_G8: frozenset[Reason] = frozenset({"already-done", "under-care"})


class Kept(msgspec.Struct, frozen=True):
    """An order that may be suggested. ``label`` says so when it is a repeat (B-84); ``notes`` stand beside it."""

    order: Order
    label: str
    preselect: bool
    second: bool
    notes: tuple[str, ...] = ()


class Remaining(msgspec.Struct, frozen=True):
    """What is left of the offers, first-line orders first, and why the others are not: order key -> reason."""

    kept: tuple[Kept, ...]
    dropped: Mapping[str, Reason]


class _Offered(NamedTuple):
    """One order and everything that the rules which offer it say about it."""

    order: Order
    preselect: bool
    second: bool
    offered_by: tuple[Assessment, ...]
    onset: PartialDate | None


class _Done(NamedTuple):
    """One entry that may show an order to be done or under way."""

    kind: Literal["result", "performed", "order", "visit"]
    date: PartialDate | None
    reference: str
    is_open: bool = False
    abnormal: bool = False
    coming: bool = False


def remaining(assessments: Sequence[Assessment], facts: Facts, knowledge: OrderKnowledge) -> Remaining:
    """The union of what fired rules offer, minus what G6, G8, G11 and C6 take away.

    Of a rule that another card carries only the first-line orders are offered (A-25, B-29).
    """
    return OrderDesk(facts, knowledge).remaining(assessments)


def suggestion(kept: Kept, subject: Json, encounter: Json | None, uuid: str) -> Suggestion:
    """The suggestion of one order: a draft ServiceRequest for this patient (C52-C54). Only for orders with a resource."""
    resource = {**(kept.order.resource or {}), "subject": subject}
    if encounter is not None:
        resource["encounter"] = encounter
    action = Action(type="create", description=kept.order.written.description, resource=resource)
    recommended = True if kept.preselect else None
    return Suggestion(label=kept.label, uuid=uuid, isRecommended=recommended, actions=(action,))


class OrderDesk:
    """Answers for one patient, card after card. The record is walked once, and only for sets that an order watches."""

    def __init__(self, facts: Facts, knowledge: OrderKnowledge) -> None:
        self._facts = facts
        self._as_of = facts.as_of
        self._knowledge = knowledge
        self._done = _index(facts.record, knowledge.watched_sets)
        self._active: list[ConditionEntry] | None = None
        self._pregnant: bool | None = None

    def remaining(self, assessments: Sequence[Assessment]) -> Remaining:
        """See :func:`remaining`."""
        kept: list[Kept] = []
        dropped: dict[str, Reason] = {}
        for offered in self._offers(assessments):
            reason, repeat = self._why_not(offered)
            if reason is None:
                kept.append(self._kept(offered, repeat=repeat))
            else:
                dropped[offered.order.key] = reason
        kept.sort(key=lambda k: k.second)
        return Remaining(tuple(kept), dropped)

    def _offers(self, assessments: Sequence[Assessment]) -> Iterable[_Offered]:
        merged: dict[str, _Offered] = {}
        for assessment in assessments:
            onset = newest_onset(assessment, self._facts)
            for offer in assessment.offers:
                if assessment.carried_by is not None and offer.second:
                    continue
                before = merged.get(offer.order)
                if before is None:
                    order = self._knowledge.orders[offer.order]
                    merged[offer.order] = _Offered(order, offer.preselect, offer.second, (assessment,), onset)
                    continue
                merged[offer.order] = _Offered(
                    before.order,
                    before.preselect or offer.preselect,
                    before.second and offer.second,
                    (*before.offered_by, assessment),
                    max((d for d in (before.onset, onset) if d is not None), default=None),
                )
        return merged.values()

    def _why_not(self, offered: _Offered) -> tuple[Reason | None, bool]:
        """The reason to drop an order, and whether it is a repeat of an abnormal result (B-84)."""
        written = offered.order.written
        if written.needs_finding and self._facts.finding_level == 0:
            return "no-finding", False
        if written.settled_by and self._has_condition(written.settled_by, None):
            return "settled", False
        if written.ionising and not self._is_exempt(offered) and self._is_pregnant():
            return "pregnancy", False
        if written.specialties and self._under_care(offered):
            return "under-care", False
        if not self._is_done(offered, repeats=frozenset()):
            return None, False
        repeats = _deciding_results(offered)
        if repeats and not self._is_done(offered, repeats=repeats):
            return None, True
        return "already-done", False

    def _is_done(self, offered: _Offered, *, repeats: frozenset[str]) -> bool:
        """G6 with G7: inside the look-back and not before the newest onset. ``repeats`` are results that do not count."""
        order, written = offered.order, offered.order.written

        def found(name: str) -> bool:
            entries = self._done.get(name, ())
            days = _look_back(order, entries)
            return any(
                e.kind != "visit" and e.reference not in repeats and self._counts(e, days, offered) for e in entries
            )

        quantifier: Callable[[Iterable[bool]], bool] = all if written.done_needs == "all" else any
        return found(order.own_set) or (bool(written.done_sets) and quantifier(map(found, written.done_sets)))

    def _under_care(self, offered: _Offered) -> bool:
        """G8: seen by the specialty inside the window and since the onset, or an order for it is active (B-73, B-94)."""
        days = offered.order.written.look_back_days
        return any(
            self._counts(entry, days, offered)
            for name in offered.order.written.specialties
            for entry in self._done.get(name, ())
            if entry.kind == "visit" or entry.is_open
        )

    def _counts(self, entry: _Done, days: int | None, offered: _Offered) -> bool:
        written = offered.order.written
        if written.group == "referral" and entry.is_open:
            limit = written.open_order_days
            return limit is None or (entry.date is not None and entry.date.within_days(limit, self._as_of))
        if entry.date is None:
            return False
        if offered.onset is not None and entry.date.last_day < offered.onset.first_day:
            return False
        if entry.coming and entry.date.is_future(self._as_of):
            return True
        if days is None:
            return not entry.date.is_future(self._as_of)
        return entry.date.within_days(days, self._as_of)

    def _kept(self, offered: _Offered, *, repeat: bool) -> Kept:
        order = offered.order
        notes = tuple(c.text for c in order.written.cautions if self._applies(c))
        if order.written.ionising and self._is_pregnant():
            notes = (*notes, self._knowledge.pregnancy.exempt_text)
        label = order.repeat_label if repeat else order.written.label
        return Kept(order, label, offered.preselect, offered.second, notes)

    def _applies(self, caution: Caution) -> bool:
        if not caution.conditions and not caution.results:
            return True
        if caution.conditions and self._has_condition(caution.conditions, caution.within_days):
            return True
        sets = frozenset(caution.results)
        results = [
            o
            for o in self._facts.record.observations
            if not sets.isdisjoint(o.sets) and o.value is not None and o.effective is not None
        ]
        newest = max((o for o in results if o.effective), key=lambda o: o.effective or 0, default=None)
        if newest is None or newest.value is None or newest.effective is None or newest.unit not in caution.units:
            return False
        within = caution.within_days is None or newest.effective.within_days(caution.within_days, self._as_of)
        return within and newest.value < caution.below

    def _has_condition(self, sets: Iterable[str], within_days: int | None) -> bool:
        wanted = frozenset(sets)
        if self._active is None:
            self._active = [c for c in self._facts.record.conditions if is_active(c, self._as_of)]
        return any(
            not wanted.isdisjoint(c.sets) and (within_days is None or self._recent(c, within_days))
            for c in self._active
        )

    def _is_exempt(self, offered: _Offered) -> bool:
        exempt = self._knowledge.pregnancy.exempt_rules
        return any(a.rule.number in exempt for a in offered.offered_by)

    def _is_pregnant(self) -> bool:
        """G11: a pregnancy code within its window, or a delivery of any status within its own (A-40, B-74)."""
        if self._pregnant is None:
            pregnancy = self._knowledge.pregnancy
            delivery = frozenset(pregnancy.delivery_sets)
            record = self._facts.record
            self._pregnant = (
                self._has_condition(pregnancy.sets, pregnancy.within_days)
                or any(
                    counts(c) and not delivery.isdisjoint(c.sets) and self._recent(c, pregnancy.delivery_within_days)
                    for c in record.conditions
                )
                or any(
                    is_performed(a)
                    and not delivery.isdisjoint(a.sets)
                    and a.date is not None
                    and a.date.within_days(pregnancy.delivery_within_days, self._as_of)
                    for a in record.activities
                )
            )
        return self._pregnant

    def _recent(self, entry: ConditionEntry, days: int) -> bool:
        dated = entry.onset or entry.recorded
        return dated is not None and dated.within_days(days, self._as_of)


def newest_onset(assessment: Assessment, facts: Facts) -> PartialDate | None:
    """When the newest finding of a rule began (G7); for a rule that rests on no finding, its newest dated onset.

    A finding without onset began when it was first recorded: coded again it is not new (B-01).
    """
    if assessment.findings:
        by_key: dict[str, list[Finding]] = {}
        for finding in facts.findings:
            if finding.key in assessment.findings:
                by_key.setdefault(finding.key, []).append(finding)
        return max((d for found in by_key.values() if (d := _began(found)) is not None), default=None)
    zone = facts.as_of.tzinfo
    if zone is None:
        return None
    onsets = [parse_partial_date(f.date, zone) for f in assessment.facts if f.date_kind == "onset" and f.date]
    return max(onsets, default=None)


def _began(findings: Iterable[Finding]) -> PartialDate | None:
    onsets = [f.onset for f in findings if f.onset is not None]
    if onsets:
        return max(onsets)
    return min((f.recorded for f in findings if f.recorded is not None), default=None)


def _deciding_results(offered: _Offered) -> frozenset[str]:
    """Results on which the rules that offer this test rest: they do not make it done (B-84)."""
    if offered.order.written.group != "laboratory":
        return frozenset()
    return frozenset(
        fact.reference for a in offered.offered_by for fact in a.facts if fact.date_kind == "measured"
    )


def _look_back(order: Order, entries: Iterable[_Done]) -> int | None:
    """The look-back in days; the shorter one when the newest result is outside its reference range (G6)."""
    written = order.written
    if written.abnormal_look_back_days is None:
        return written.look_back_days
    results = [e for e in entries if e.kind == "result" and e.date is not None]
    newest = max(results, key=lambda e: e.date or 0, default=None)
    return written.abnormal_look_back_days if newest is not None and newest.abnormal else written.look_back_days


def _index(record: PatientRecord, watched: frozenset[str]) -> Mapping[str, list[_Done]]:
    """By value set, every entry that may show an order to be done or under way."""
    found: dict[str, list[_Done]] = {}

    def note(sets: frozenset[str], done: _Done) -> None:
        for name in sets & watched:
            found.setdefault(name, []).append(done)

    for o in record.observations:
        if not watched.isdisjoint(o.sets):
            low, high = o.low, o.high
            outside = o.value is not None and (
                (low is not None and o.value < low) or (high is not None and o.value > high)
            )
            note(o.sets, _Done("result", o.effective, o.reference, abnormal=outside))
    for a in record.activities:
        if is_performed(a):
            note(a.sets, _Done("performed", a.date, a.reference))
        elif is_ordered(a):
            note(a.sets | a.specialties, _Done("order", a.date, a.reference, is_open=a.status in ORDER_OPEN))
    for v in record.visits:
        coming = v.resource_type == "Appointment"
        if (v.status in APPOINTMENT_COMING) if coming else (v.status not in VISIT_NEVER):
            note(v.sets | v.specialties, _Done("visit", v.start, v.reference, coming=coming))
    return found
