"""``rules/cards.toml`` and ``rules/orders.toml`` as one deck: everything about cards that no patient changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
from pydantic import ValidationError

from cds_service.cards.order_knowledge import OrderKnowledge, load_order_knowledge
from cds_service.cards.wording import own
from cds_service.cds_hooks.response import Card, OverrideReason, Source
from cds_service.errors import RuleFileError
from cds_service.rule_engine.criterion import Indicator
from cds_service.rule_engine.model import CardGroup, Rule
from cds_service.rule_engine.written import convert, line_of, read_struct, read_toml

OVERRIDE_SYSTEM = "urn:atrophy-cds:override-reasons"
_Place = tuple[CardGroup, str]
_SOME_UUID = "00000000-0000-4000-8000-000000000000"


class _Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file: unknown keys are refused."""


class Limits(_Written, frozen=True, kw_only=True):
    """How many facts a card shows, and how long a critical card stands alone after it was first shown (B-25)."""

    facts: int
    critical_alone_hours: int


class CardSource(_Written, frozen=True, kw_only=True):
    """The label of every card's source, unless settings name another, and the system of its topics (C46, C48)."""

    label: str
    topic_system: str


class Words(_Written, frozen=True, kw_only=True):
    """Headings and sentences around the rule's own words; braces are filled in."""

    examine: str
    why: str
    not_found: str
    not_checked: str
    options: str
    also: str
    contradicts: str
    as_of: str
    as_of_with_ages: str
    from_to: str
    day: str
    days: str
    years: str
    source: str
    suggested: str
    second_step: str
    text_only: str
    already_there: str
    beside: str
    rule: str
    not_reviewed: str
    review_passed: str
    disclaimer: str
    second_hand: str
    unconfirmed: str
    undated: str
    waiting: str
    called_wrong: str


class LinkWords(_Written, frozen=True, kw_only=True):
    """What the links of a card are called (C57)."""

    explain: str
    timeline: str


class GapWords(_Written, frozen=True, kw_only=True):
    """What the gap card says (P-04, P-05)."""

    topic: str
    title: str
    summary: str
    opening: str
    not_done_summary: str
    not_done_opening: str
    closing: str
    override_reasons: tuple[str, ...]


class ByIndicator(_Written, frozen=True, kw_only=True):
    """Days for a warning and for an info card."""

    warning: int
    info: int

    def of(self, indicator: Indicator) -> int | None:
        """The days for a card; none for a critical one."""
        return {"warning": self.warning, "info": self.info}.get(indicator)


class SnoozeDays(_Written, frozen=True, kw_only=True):
    """How long an answer counts when neither its reason nor the rule says so; and a card that was only shown (A-16)."""

    shown_once: ByIndicator
    accepted: ByIndicator
    without_reason: ByIndicator
    other_reason: int


class WrittenReason(_Written, frozen=True, kw_only=True):
    """One override reason and what it does (B-51).

    ``snoozes_not`` are numbers of rules that it does not silence. ``disputes``: it silences nothing, but what the card
    cites is left out of the record until it changes.
    """

    display: str
    per_rule: bool = False
    snooze_days: int | None = None
    snoozes_not: tuple[str, ...] = ()
    disputes: bool = False
    lowers_critical_hours: int | None = None


class PageWords(_Written, frozen=True, kw_only=True):
    """What ``docs/rules.md`` says of steroids, weight, dates, cards and answers, before the rules."""

    steroids: tuple[str, ...]
    weight: tuple[str, ...]
    dates: tuple[str, ...]
    cards: tuple[str, ...]
    answers: tuple[str, ...]


class CardWords(_Written, frozen=True, kw_only=True):
    """``rules/cards.toml``."""

    version: str
    owner: str
    checker: str
    review_by: str
    leads: Mapping[CardGroup, tuple[str, ...]]
    limits: Limits
    source: CardSource
    words: Words
    page: PageWords
    date_words: Mapping[str, str]
    certainty_words: Mapping[str, str]
    source_words: Mapping[str, str]
    links: LinkWords
    gap: GapWords
    snooze_days: SnoozeDays
    override_reasons: Mapping[str, WrittenReason]

    @property
    def disputing(self) -> frozenset[str]:
        """The codes of the reasons that call the data of a card wrong."""
        return frozenset(code for code, reason in self.override_reasons.items() if reason.disputes)


class RuleWords(msgspec.Struct, frozen=True):
    """What a rule puts on every card of its own: citations and version as Markdown, its own override reasons."""

    citations: tuple[str, ...]
    version: str
    is_reviewed: bool
    reasons: tuple[OverrideReason, ...]


class CardDeck(msgspec.Struct, frozen=True):
    """All that composing needs beside the evaluation. ``rank`` is the place of a rule among the leads of a card."""

    cards: CardWords
    orders: OrderKnowledge
    reasons: Mapping[str, OverrideReason]
    common_reasons: tuple[OverrideReason, ...]
    rank: Mapping[_Place, int]
    by_rule: Mapping[str, RuleWords]

    def of_rule(self, rule: Rule) -> RuleWords:
        """The ready words of a rule; those of a rule that does not stand in the folder are made on the spot."""
        return self.by_rule.get(rule.id) or _rule_words(rule, self.cards.words, self.reasons)

    def place(self, group: CardGroup, rule: Rule) -> int:
        """Where a rule stands in the list of leads of a card; after all others when it is not in it."""
        return self.rank.get((group, rule.number), len(self.rank))


def load_deck(folder: Path) -> CardDeck:
    """Read both files of ``folder`` and check every rule of it against them. Raises RuleFileError."""
    path = folder / "cards.toml"
    written = read_struct(path, CardWords)
    for code in written.gap.override_reasons:
        if code not in written.override_reasons:
            raise RuleFileError(
                path, line_of(path, "gap", "override_reasons"), f"no override reason is called {code!r}"
            )
    reasons = {
        code: OverrideReason(code=code, system=OVERRIDE_SYSTEM, display=reason.display)
        for code, reason in written.override_reasons.items()
    }
    for summary in (written.gap.summary, written.gap.not_done_summary):
        _refuse_summary(path, summary)
    rank = {(group, number): at for group, order in written.leads.items() for at, number in enumerate(order)}
    rules = [(file, convert(file, read_toml(file), Rule)) for file in sorted(folder.glob("*/rule.toml"))]
    for file, rule in rules:
        _check_rule(file, rule, reasons, rank)
    return CardDeck(
        cards=written,
        orders=load_order_knowledge(folder, (file.stem for file in (folder / "value_sets").glob("*.csv"))),
        reasons=reasons,
        common_reasons=tuple(reasons[c] for c, reason in written.override_reasons.items() if not reason.per_rule),
        rank=rank,
        by_rule={rule.id: _rule_words(rule, written.words, reasons) for _, rule in rules},
    )


def _check_rule(path: Path, rule: Rule, reasons: Mapping[str, OverrideReason], rank: Mapping[_Place, int]) -> None:
    for code in rule.override_reasons:
        if code not in reasons:
            raise RuleFileError(path, line_of(path, "override_reasons"), f"no override reason is called {code!r}")
    for group in (rule.group, *(rule.card_for(fires.indicator) for fires in rule.fires)):
        if (group, rule.number) not in rank:
            problem = f"{rule.number} is not in the {group} leads of cards.toml"
            raise RuleFileError(path, line_of(path, "number"), problem)
    for summary in (rule.summary, *(fires.summary for fires in rule.fires if fires.summary)):
        _refuse_summary(path, summary)


def _refuse_summary(path: Path, summary: str) -> None:
    """A summary that the card model would refuse must not wait for a patient to be refused (C44)."""
    try:
        Card(uuid=_SOME_UUID, summary=summary, indicator="info", source=Source(label="-"))
    except ValidationError as error:
        problem = f"cannot be a summary: {summary!r}: one sentence of at most 139 characters (C44)"
        raise RuleFileError(path, _line_with(path, summary), problem) from error


def _line_with(path: Path, text: str) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((at for at, line in enumerate(lines, 1) if text in line), 1)


def _rule_words(rule: Rule, words: Words, reasons: Mapping[str, OverrideReason]) -> RuleWords:
    doubts: Mapping[Literal["seen", "seen second-hand", "unconfirmed"], str] = {
        "seen second-hand": f" ({words.second_hand})",
        "unconfirmed": f" ({words.unconfirmed})",
    }
    return RuleWords(
        citations=tuple(own(e.citation) + doubts.get(e.status, "") for e in rule.evidence),
        version=words.rule.format(number=rule.number, version=rule.version),
        is_reviewed=bool(rule.checker),
        reasons=tuple(reasons[code] for code in rule.override_reasons),
    )
