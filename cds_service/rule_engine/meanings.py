"""What a criterion means beyond its own sentence: what it joins, its value sets, the rules that it asks about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from cds_service.rule_engine.criterion import Criterion
from cds_service.rule_engine.loader import Knowledge
from cds_service.rule_engine.plain_words import in_words

ASKED_SETS = (
    "condition", "finding", "done", "visit", "family_history", "planned_for", "result", "medication", "plan", "trend",
)  # fmt: skip


def numbers(ids: Iterable[str], knowledge: Knowledge) -> str:
    """The numbers of some rules, in a list."""
    wanted = frozenset(ids)
    return ", ".join(c.rule.number for c in knowledge.rules.by_number if c.rule.id in wanted)


def titles(sets: Iterable[str], knowledge: Knowledge) -> str:
    """What some value sets are called, in a list."""
    entries = knowledge.tables.entries
    return "; ".join(entries[name].title for name in sets if name in entries)


def details(criterion: Criterion, criteria: Mapping[str, Criterion], knowledge: Knowledge) -> Iterator[str]:
    """Of what it is joined, and what narrows it. ``criteria`` are those that its rule may ask by name."""
    yield from _joined(criterion)
    for words, fields in (("value sets", ASKED_SETS), ("of these only", ("only",)), ("not", ("without",))):
        if listed := titles((name for field in fields for name in getattr(criterion, field)), knowledge):
            yield f"{words}: {listed}"
    for level in filter(None, dict.fromkeys((criterion.steroid_level_at_least, criterion.steroid_level_at_most))):
        yield f"level {level}: {knowledge.steroids.level_in_words(level)}"
    if criterion.recorded_stands_in:
        only_some = " as B-61 lets it" if criterion.red_flag and criterion.new_within_days else ""
        yield f"without an onset its date of recording counts{only_some}"
    yield from _open_orders(criterion)
    yield from _of_other_rules(criterion, knowledge)
    for words, name in (
        ("in the same limb as", criterion.same_limb_as),
        ("not in the same limb as", criterion.not_same_limb_as),
        ("of another side, or of another limb where both name one, than", criterion.not_same_place_as),
        ("newer than", criterion.newer_than),
    ):
        if name is not None:
            yield f"{words} {criteria[name].says}"
    if criterion.unless_known_at_site is not None:
        known = criteria[criterion.unless_known_at_site].says
        yield f"not in the limb and side of {known}, unless it is newer than that: B-27, B-72"


def _joined(criterion: Criterion) -> Iterator[str]:
    """Of which criteria it is made. As points: what was found takes one off, what could not be read takes nothing."""
    if criterion.when is not None:
        yield f"that is: {in_words(criterion.when)}"
    counted = [in_words(name) for name in criterion.points]
    taken_off = " or ".join(map(in_words, criterion.minus))
    if len(counted) == 1:
        yield f"that is: {counted[0]}" + (f", unless there was found: {taken_off}" if taken_off else "")
    elif counted:
        yield f"{criterion.points_at_least} of: {', '.join(counted)}"
        if taken_off:
            yield f"less one where it was found: {taken_off}"


def _open_orders(criterion: Criterion) -> Iterator[str]:
    """Beside a window for visits: how old an order may be that is still active."""
    if not (criterion.visit and criterion.ordered_counts) or criterion.within_days is None:
        return
    order = "an order that is still active counts"
    if criterion.order_since:
        yield f"{order} if it was not written before that, however long ago: B-73"
    elif criterion.open_order_days is not None:
        yield f"{order} if it was written within {criterion.open_order_days} days"
    else:
        yield f"{order} whenever it was written: B-73"


def _of_other_rules(criterion: Criterion, knowledge: Knowledge) -> Iterator[str]:
    if fired := (*criterion.rule_fired, *criterion.rule_matched):
        yield numbers(fired, knowledge)
    if criterion.not_taken_by:
        others = numbers(criterion.not_taken_by, knowledge)
        yield f"not what {others} fired on, or left for a reason that binds other rules too (as said there): B-28, B-69"
    if criterion.not_silenced_by:
        yield f"not what {numbers(criterion.not_silenced_by, knowledge)} silenced: B-28"
