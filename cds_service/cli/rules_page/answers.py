"""For how long each answer of a clinician keeps the card of a rule away, as the service itself reckons it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from cds_service.cards.memory import days_away
from cds_service.cli.rules_page.words import Pack
from cds_service.rule_engine.model import Rule


class _Given(NamedTuple):
    """An answer of a clinician."""

    outcome: Literal["accepted", "overridden"]
    reason_code: str | None = None


def answers(rule: Rule, pack: Pack) -> Iterator[str]:
    """A table: how long a warning or information card stays away, and after which answers."""
    deck = pack.deck
    codes = (*rule.override_reasons, *(reason.code for reason in deck.common_reasons))
    given = {deck.reasons[code].display: _Given("overridden", code) for code in codes}
    given["a suggestion accepted"] = _Given("accepted")
    given["dismissed without a reason"] = _Given("overridden")
    by_stay: dict[str, list[str]] = {}
    for display, answer in given.items():
        by_stay.setdefault(_stay(rule, answer, pack), []).append(display)
    yield "\n**Answers (override reasons), and how long each keeps the card away**\n"
    yield "| Away | After |"
    yield "|---|---|"
    for stay, displays in by_stay.items():
        yield f"| {stay} | {'; '.join(displays)} |"
    if any(fires.indicator == "critical" for fires in rule.fires):
        yield f"| as critical never (but for data called wrong, as above) | any answer.{_lowered(rule, pack)} |"


def _stay(rule: Rule, answer: _Given, pack: Pack) -> str:
    """Days; both numbers where a warning and an information card differ and the rule can show both."""
    reason = pack.deck.cards.override_reasons.get(answer.reason_code or "")
    if reason is not None and reason.disputes:
        return "no days: what the card shows is left out until it changes"
    warning, info = (_days(rule, answer, indicator, pack) for indicator in ("warning", "info"))
    if warning == info:
        return _in_words(info)
    if not can_be(rule, "warning"):
        return _in_words(info)
    if not can_be(rule, "info"):
        return _in_words(warning)
    return f"warning {_in_words(warning)}, info {_in_words(info)}"


def can_be(rule: Rule, indicator: str) -> bool:
    """Whether a card of the rule can have this indicator, lowered by tier or palliative care too."""
    if indicator == "info" and (rule.group != "emergency" or not rule.own_trigger):
        return True
    return any(fires.indicator == indicator for fires in rule.fires)


def _days(rule: Rule, answer: _Given, indicator: Literal["warning", "info"], pack: Pack) -> int | None:
    return days_away(answer.outcome, answer.reason_code, rule, indicator, pack.deck)


def _in_words(days: int | None) -> str:
    return "never" if days is None else f"{days} days"


def _lowered(rule: Rule, pack: Pack) -> str:
    for code in rule.override_reasons:
        reason = pack.deck.cards.override_reasons[code]
        if reason.lowers_critical_hours is not None:
            return f' "{reason.display}" makes it a warning for {reason.lowers_critical_hours} hours'
    return ""
