"""Which of the offered orders may still be suggested: not what is done, under way or unfit (G6-G8, G11)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from cds_service.cards.care_record import CareEntry, CareRecord, newest_is_abnormal
from cds_service.cards.circumstances import Circumstances
from cds_service.cards.order_knowledge import Order, OrderKnowledge
from cds_service.cds_hooks.response import Action, Json, Suggestion
from cds_service.derive.conditions import counts
from cds_service.derive.findings import Finding
from cds_service.partial_date import PartialDate
from cds_service.record import ConditionEntry
from cds_service.rule_engine.model import RECORDED_KINDS, Assessment, Facts

Reason = Literal["already-done", "under-care", "no-finding", "pregnancy", "settled"]
G6_OR_G8: frozenset[Reason] = frozenset({"already-done", "under-care", "settled"})
NO_REFERENCES: frozenset[str] = frozenset()


class Kept(msgspec.Struct, frozen=True):
    """An order that may be suggested. ``label`` says so when it is a repeat (B-84); ``notes`` stand beside it."""

    order: Order
    label: str
    preselect: bool
    second: bool
    notes: tuple[str, ...] = ()


class Remaining(msgspec.Struct, frozen=True):
    """What is left of the offers, first-line orders first, and why the others are not: order key -> reason.

    ``notes`` are sentences to say instead of what was dropped (G11).
    """

    kept: tuple[Kept, ...]
    dropped: Mapping[str, Reason]
    notes: tuple[str, ...] = ()


class _Offered(NamedTuple):
    """One order, what the rules that offer it want, and when the newest finding behind it began."""

    order: Order
    preselect: bool
    second: bool
    offered_by: tuple[Assessment, ...]
    onset: PartialDate | None


def remaining(assessments: Sequence[Assessment], facts: Facts, knowledge: OrderKnowledge) -> Remaining:
    """The union of what fired rules offer, minus what G6, G8, G11 and C6 take away.

    Of a rule that another card carries only the first-line orders are offered (A-25, B-29).
    """
    return OrderDesk(facts, knowledge).remaining(assessments)


def suggestion(kept: Kept, subject: Json, encounter: Json | None, uuid: str) -> Suggestion:
    """One order as a suggestion: a draft ServiceRequest for this patient (C52-C54). Only with a resource."""
    resource = {**(kept.order.resource or {}), "subject": subject}
    if encounter is not None:
        resource["encounter"] = encounter
    action = Action(type="create", description=kept.order.written.description, resource=resource)
    recommended = True if kept.preselect else None
    return Suggestion(label=kept.label, uuid=uuid, isRecommended=recommended, actions=(action,))


class OrderDesk:
    """Answers for one patient, card after card."""

    def __init__(self, facts: Facts, knowledge: OrderKnowledge) -> None:
        self._facts = facts
        self._as_of = facts.as_of
        self._knowledge = knowledge
        self._care = CareRecord(facts.index)
        self._patient = Circumstances(facts.index, facts.as_of, knowledge.pregnancy)

    def remaining(self, assessments: Sequence[Assessment]) -> Remaining:
        """See :func:`remaining`."""
        kept: list[Kept] = []
        dropped: dict[str, Reason] = {}
        for offered in self._offers(assessments):
            reason = self._unfit(offered) or self._done_or_under_way(offered, NO_REFERENCES)
            repeat = reason == "already-done" and self._is_repeat(offered)
            if reason is None or repeat:
                kept.append(self._kept(offered, repeat=repeat))
            else:
                dropped[offered.order.key] = reason
        kept.sort(key=lambda k: k.second)
        notes = (self._knowledge.pregnancy.text,) if "pregnancy" in dropped.values() else ()
        return Remaining(tuple(kept), dropped, notes)

    def _offers(self, assessments: Sequence[Assessment]) -> Iterable[_Offered]:
        merged: dict[str, _Offered] = {}
        for assessment in assessments:
            onset = newest_onset(assessment, self._facts)
            for offer in assessment.offers:
                if offer.second and assessment.carried_by is not None:
                    continue
                order = self._knowledge.orders[offer.order]
                since = _newer(onset, offer.seen_since)
                offered = _Offered(order, offer.preselect, offer.second, (assessment,), since)
                before = merged.get(order.key)
                merged[order.key] = offered if before is None else _joined(before, offered)
        return merged.values()

    def _unfit(self, offered: _Offered) -> Reason | None:
        """C6 (nothing found), a question that the record answers, and G11 except where A-27 lifts it."""
        written = offered.order.written
        if written.needs_finding and self._facts.finding_level == 0:
            return "no-finding"
        if written.settled_by and self._patient.has_condition(written.settled_by):
            return "settled"
        exempt = self._knowledge.pregnancy.exempt_rules
        if written.ionising and not any(a.rule.number in exempt for a in offered.offered_by):
            return "pregnancy" if self._patient.is_pregnant() else None
        return None

    def _done_or_under_way(self, offered: _Offered, ignored: frozenset[str]) -> Reason | None:
        """G8, then G6. ``ignored`` are references of results that do not count."""
        written, care = offered.order.written, self._care
        if offered.order.watched_sets.isdisjoint(care.present):  # as for most orders
            return None
        for name in written.specialties:
            for entry in care.of(name):
                if (entry.kind == "visit" or entry.is_open) and self._counts(entry, written.look_back_days, offered):
                    return "under-care"
        done = self._is_done(offered.order.own_set, offered, ignored)
        if not done and written.done_sets:
            enough: Callable[[Iterable[bool]], bool] = all if written.done_needs == "all" else any
            done = enough(self._is_done(name, offered, ignored) for name in written.done_sets)
        return "already-done" if done else None

    def _is_done(self, name: str, offered: _Offered, ignored: frozenset[str]) -> bool:
        entries = self._care.of(name)
        if not entries:
            return False
        days = _look_back(offered.order, entries)
        return any(self._counts(e, days, offered) for e in entries if e.kind != "visit" and e.reference not in ignored)

    def _counts(self, entry: CareEntry, days: int | None, offered: _Offered) -> bool:
        """Inside the look-back and not before the onset (G7). A referral that is still active always counts (B-73)."""
        written = offered.order.written
        if written.group == "referral" and entry.is_open:
            return written.open_order_days is None or self._within(entry.date, written.open_order_days)
        if entry.date is None or (offered.onset is not None and entry.date.is_before(offered.onset)):
            return False
        return (entry.coming and entry.date.is_future(self._as_of)) or self._within(entry.date, days)

    def _within(self, dated: PartialDate | None, days: int | None) -> bool:
        if dated is None or days is None:
            return dated is not None and not dated.is_future(self._as_of)
        return dated.within_days(days, self._as_of)

    def _is_repeat(self, offered: _Offered) -> bool:
        """B-84: a laboratory test whose results the rules rest on, and which was not done or ordered again since."""
        order = offered.order
        if order.written.group != "laboratory":
            return False
        deciding = frozenset(f.reference for a in offered.offered_by for f in a.facts if f.date_kind == "measured")
        own = [e.date for name in order.watched_sets for e in self._care.of(name) if e.reference in deciding]
        newest = _newer(*own)
        since = offered._replace(onset=_newer(offered.onset, newest))
        return newest is not None and self._done_or_under_way(since, deciding) is None

    def _kept(self, offered: _Offered, *, repeat: bool) -> Kept:
        order = offered.order
        notes = tuple(c.text for c in order.written.cautions if self._patient.applies(c))
        if order.written.ionising and self._patient.is_pregnant():
            notes = (*notes, self._knowledge.pregnancy.exempt_text)
        label = order.repeat_label if repeat else order.written.label
        return Kept(order, label, offered.preselect, offered.second, notes)


def newest_onset(assessment: Assessment, facts: Facts) -> PartialDate | None:
    """When the newest sign behind a rule began (G7): of its findings and of the other conditions that it names.

    A sign without onset began when it was first recorded: coded again it is not new (B-01).
    """
    dates = [f.began for f in assessment.facts if f.began is not None]
    dates += [began for same in _same_signs(assessment, facts) if (began := _began(same)) is not None]
    return max(dates, default=None)


def _same_signs(assessment: Assessment, facts: Facts) -> Iterable[Sequence[Finding | ConditionEntry]]:
    """The entries of each finding of a rule, then of each other condition that it names without an onset."""
    by_key: dict[str, list[Finding]] = {}
    for finding in facts.findings:
        if finding.key in assessment.findings:
            by_key.setdefault(finding.key, []).append(finding)
    yield from by_key.values()
    found = {finding.entry.reference for entries in by_key.values() for finding in entries}
    named = {f.reference for f in assessment.facts if f.date_kind in RECORDED_KINDS} - found
    for entry in facts.record.conditions if named else ():
        if entry.reference in named:
            yield [c for c in facts.record.conditions if counts(c) and (c.sets, c.site) == (entry.sets, entry.site)]


def _began(signs: Sequence[Finding | ConditionEntry]) -> PartialDate | None:
    onsets = [sign.onset for sign in signs if sign.onset is not None]
    recorded = [sign.recorded for sign in signs if sign.recorded is not None]
    return max(onsets) if onsets else min(recorded, default=None)


def _joined(before: _Offered, after: _Offered) -> _Offered:
    """The same order wanted by two rules: first-line and pre-selected if either says so; the newer onset decides."""
    return _Offered(
        before.order,
        before.preselect or after.preselect,
        before.second and after.second,
        (*before.offered_by, *after.offered_by),
        _newer(before.onset, after.onset),
    )


def _newer(*dates: PartialDate | None) -> PartialDate | None:
    return max((dated for dated in dates if dated is not None), default=None)


def _look_back(order: Order, entries: Iterable[CareEntry]) -> int | None:
    """The look-back in days; the shorter one when the newest result is abnormal (G6)."""
    shorter = order.written.abnormal_look_back_days
    return shorter if shorter is not None and newest_is_abnormal(entries) else order.written.look_back_days
