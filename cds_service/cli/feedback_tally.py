"""What became of cards, counted: by rule, by CDS Client or by reason, with the interval of each share."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from statistics import NormalDist
from typing import Literal, NamedTuple

import msgspec

from cds_service.store.outcomes import CardOutcome

By = Literal["rule", "client", "reason"]
WHOLE = "all"
NO_REASON = "no reason given"
CONFIDENCE = 0.95


class Share(NamedTuple):
    """A share with its interval, each from 0 to 1."""

    low: float
    share: float
    high: float


class Line(msgspec.Struct):
    """One line of a report: of so many cards, how many had each outcome, and why they were overridden."""

    name: str
    cards: int = 0
    counts: Counter[str] = msgspec.field(default_factory=Counter)
    reasons: Counter[str] = msgspec.field(default_factory=Counter)


class Report(NamedTuple):
    """Lines with the same outcomes, those with most cards first, the one of all cards last. ``cards`` says of which."""

    by: By
    cards: str
    outcomes: tuple[str, ...]
    lines: tuple[Line, ...]


def wilson(count: int, total: int) -> Share:
    """The 95 % score interval of Wilson (1927) for ``count`` of ``total``; of nothing it is all from 0 to 1."""
    if total == 0:
        return Share(0.0, 0.0, 1.0)
    z2 = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) ** 2
    share = count / total
    middle = (count + z2 / 2) / (total + z2)
    half = (z2 * (count * (total - count) / total + z2 / 4)) ** 0.5 / (total + z2)
    low = 0.0 if count == 0 else min(share, middle - half)
    high = 1.0 if count == total else max(share, middle + half)
    return Share(low, share, high)


def tally(cards: Iterable[CardOutcome], by: By) -> Report:
    """Count cards by rule or client, or the reasons of those that were overridden."""
    lines: dict[str, Line] = {}
    whole = Line(WHOLE)
    wanted = (card for card in cards if card.outcome == "overridden") if by == "reason" else cards
    for card in wanted:
        outcome = "given" if by == "reason" else card.outcome or "unanswered"
        for line in (whole, *(lines.setdefault(name, Line(name)) for name in _names(card, by))):
            line.cards += 1
            line.counts[outcome] += 1
            if card.outcome == "overridden":
                line.reasons[_reason(card)] += 1
    if by == "reason":  # each is a share of all that were overridden
        for line in lines.values():
            line.cards = whole.cards
    found = sorted(lines.values(), key=lambda line: (-line.counts.total(), line.name))
    outcomes = ("given",) if by == "reason" else ("accepted", "overridden", "unanswered")
    return Report(by, "overridden" if by == "reason" else "shown", outcomes, (*found, whole))


def _names(card: CardOutcome, by: By) -> Iterable[str]:
    match by:
        case "rule":
            return dict.fromkeys(card.rules)
        case "client":
            return (card.client,)
        case "reason":
            return (_reason(card),)


def _reason(card: CardOutcome) -> str:
    """The code of the reason as it came, without what would steer a terminal."""
    code = "".join(c for c in card.reason_code or "" if unicodedata.category(c)[0] != "C")
    return code or NO_REASON
