"""Narrowing by place on the body: one limb, both sides, the limb or side of another finding (B-05, B-72, B-79)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cds_service.coding import Site
from cds_service.derive.findings import Finding
from cds_service.record import ConditionEntry, ObservationEntry
from cds_service.rule_engine.criterion import Criterion
from cds_service.rule_engine.inquiry import Inquiry
from cds_service.rule_engine.narrowing import Narrow, Sited, each


def limb_step(criterion: Criterion) -> Narrow:
    wanted = frozenset(criterion.limb)
    return each(lambda entry, _: (entry.site.limb or "unsited") in wanted)


def is_one_limb(site: Site) -> bool:
    """Whether a site is a limb with its side; only then can two entries be at the same (B-72)."""
    return site.limb is not None and site.side is not None


def same_limb_step(criterion: Criterion) -> Narrow:
    name = criterion.same_limb_as or ""

    def narrow(entries: list[Sited], inquiry: Inquiry) -> list[Sited]:
        limbs = set(filter(is_one_limb, _sites(inquiry.ask(name).entries)))
        return [entry for entry in entries if entry.site in limbs]

    return narrow


def other_limb_step(criterion: Criterion) -> Narrow:
    name = criterion.not_same_limb_as or ""

    def narrow(entries: list[Sited], inquiry: Inquiry) -> list[Sited]:
        limbs = set(filter(is_one_limb, _sites(inquiry.ask(name).entries)))
        return [entry for entry in entries if entry.site not in limbs]

    return narrow


def elsewhere_step(criterion: Criterion) -> Narrow:
    """Sided entries of another side than all of the other criterion, or of another limb where both name one.

    An unsided entry there could be of any side, a bilateral one is of both.
    """
    name = criterion.not_same_place_as or ""

    def narrow(entries: list[Sited], inquiry: Inquiry) -> list[Sited]:
        places = set(_sites(inquiry.ask(name).entries))
        if any(place.side is None for place in places):
            return []
        both = {place.limb for place in places if place.side == "bilateral"}
        places |= {Site(side, limb) for side in ("left", "right") for limb in both}
        return [e for e in entries if e.site.side is not None and places.isdisjoint(e.site.same_places())]

    return narrow


def _sites(entries: Iterable[object]) -> list[Site]:
    return [entry.site for entry in entries if isinstance(entry, ConditionEntry | Finding | ObservationEntry)]


def site_step(criterion: Criterion) -> Narrow:
    return _SITE_STEPS[criterion.site or "one-side"]


def _one_side(entries: list[Sited], _: Inquiry) -> list[Sited]:
    return [entry for entry in entries if entry.site.side in ("left", "right")]


def _side_or_limb(entries: list[Sited], _: Inquiry) -> list[Sited]:
    """Left, right, or a limb whose side nobody wrote down."""
    return [e for e in entries if e.site.side in ("left", "right") or (e.site.side is None and e.site.limb)]


def _only_one_side(entries: list[Sited], _: Inquiry) -> list[Sited]:
    """Nothing when both sides are named among the entries (B-79)."""
    sides = {entry.site.side for entry in entries} - {None}
    return [entry for entry in entries if entry.site.side is not None] if sides in ({"left"}, {"right"}) else []


def _one_limb(entries: list[Sited], _: Inquiry) -> list[Sited]:
    sited = [entry for entry in entries if entry.site.side in ("left", "right") and entry.site.limb]
    return sited if len({entry.site for entry in sited}) == 1 else []


def _both_sides(entries: list[Sited], _: Inquiry) -> list[Sited]:
    """A left and a right entry, or a bilateral one (A-10, B-05)."""
    both = [entry for entry in entries if entry.site.side == "bilateral"]
    sides = {entry.site.side for entry in entries}
    return [e for e in entries if e.site.side is not None] if {"left", "right"} <= sides else both


_SITE_STEPS: Mapping[str, Narrow] = {
    "one-limb": _one_limb,
    "both-sides": _both_sides,
    "one-side": _one_side,
    "only-one-side": _only_one_side,
    "side-or-limb": _side_or_limb,
}
