"""What an explanation says: its shape as JSON (camelCase, nothing empty: C2), which the page prints too."""

from __future__ import annotations

from typing import Literal

import msgspec

from cds_service.rule_engine.trace import Part

Result = Literal["true", "false", "unknown"]


class _Shown(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A part of the answer as JSON: camelCase, without what is empty (C2)."""


class FactShown(_Shown, frozen=True, kw_only=True):
    """One dated fact of the chart that was brought. Its text is cut and holds no link; whoever prints it escapes it.

    ``dated`` and ``coded`` say in words what kind of date it has, and how a code names it where that is not its own;
    ``site`` where on the body it is.
    ``caused``: the card rests on it; else it was only asked about. ``new``: it was not among the facts of the card.
    """

    number: int
    reference: str
    text: str
    dated: str
    code: str | None = None
    date: str | None = None
    date_kind: str | None = None
    value: str | None = None
    threshold: str | None = None
    certainty: str | None = None
    coded: str | None = None
    site: str | None = None
    caused: bool = False
    new: bool = False
    rules: tuple[str, ...] = ()


class ContradictionShown(_Shown, frozen=True, kw_only=True):
    """What of the chart that was brought cannot all be so, and bears on a rule of the card."""

    says: str
    facts: tuple[str, ...]


class CriterionShown(_Shown, frozen=True, kw_only=True):
    """One question of a rule and its verdict when the card was shown; without ``asks`` it is no longer asked.

    ``details``: what it joins and what narrows it. ``rested_on``: on how many facts. ``facts``: numbers of those here.
    ``now``: the verdict of what was brought, where it differs.
    """

    name: str
    result: Result
    asks: str | None = None
    details: tuple[str, ...] = ()
    rested_on: int = 0
    facts: tuple[int, ...] = ()
    now: Result | None = None


class WayShown(_Shown, frozen=True, kw_only=True):
    """One way to fire. ``spoke``: the one that made the card. ``result`` is left out where the words are others now."""

    name: str
    indicator: str
    when: str
    result: Result | None = None
    spoke: bool = False


class SilenceShown(_Shown, frozen=True, kw_only=True):
    """One reason to stay silent although the rule would fire. ``result`` is left out where the words are others now."""

    reason: str
    when: str
    result: Result | None = None


class ChangeShown(_Shown, frozen=True, kw_only=True):
    """One criterion that, were it otherwise, would turn the rule's answer into ``status`` (and way or ``reason``)."""

    criterion: str
    asks: str
    instead: Result
    status: str
    reason: str | None = None
    indicator: str | None = None


class EvidenceShown(_Shown, frozen=True, kw_only=True):
    """A source of the rule, and whether it was read."""

    citation: str
    status: str
    url: str | None = None


class RuleShown(_Shown, frozen=True, kw_only=True):
    """One rule of the card, in its words of today.

    ``version`` is that of the card, ``version_now`` that of the words where it is another. ``other_words``: the rule or
    what it shares with others was written otherwise then, so that nothing is made of its verdicts.
    ``differs``: the chart that was brought gives another answer.
    """

    id: str
    part: Part
    version: str
    number: str | None = None
    title: str | None = None
    opening: str | None = None
    indicator: str | None = None
    version_now: str | None = None
    other_words: bool = False
    reviewed_by: str | None = None
    review_by: str | None = None
    ways: tuple[WayShown, ...] = ()
    silences: tuple[SilenceShown, ...] = ()
    youngest: int | None = None
    criteria: tuple[CriterionShown, ...] = ()
    missing: tuple[str, ...] = ()
    changes: tuple[ChangeShown, ...] = ()
    evidence: tuple[EvidenceShown, ...] = ()
    differs: bool = False


class CardExplanation(_Shown, frozen=True, kw_only=True):
    """The whole answer. ``brought``: the facts are those of the chart that came with the question.

    ``facts_gone``: facts that the card rested on and that were not brought. ``called_wrong``: how many entries of what
    was brought were left out, because a user had called them wrong before the card. ``rule_pack_now``: the rules in
    use, where they are others than those of the card.
    """

    card: str
    as_of: str
    tier: str
    rule_pack: str
    rule_pack_now: str | None = None
    summary: str | None = None
    tier_sentence: str | None = None
    brought: bool = False
    facts: tuple[FactShown, ...] = ()
    facts_gone: int = 0
    called_wrong: int = 0
    contradictions: tuple[ContradictionShown, ...] = ()
    rules: tuple[RuleShown, ...] = ()
    gaps: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
