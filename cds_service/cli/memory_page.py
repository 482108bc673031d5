"""``docs/memory.md``: what the same request gives after each answer, worked out as the service does (B-51, B-80)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

from cds_service.cards.knowledge import CardDeck, load_deck
from cds_service.cards.memory import Outcome, days_away
from cds_service.rule_engine.criterion import Indicator
from cds_service.rule_engine.loader import load_knowledge
from cds_service.rule_engine.model import Rule

Answered = tuple[Outcome, str | None]
INDICATORS: tuple[Indicator, ...] = ("info", "warning", "critical")
HEAD = """# The same request again

*Made from `rules/cards.toml` and the rules by `make fix`. Do not edit. `tests/http/test_memory.py` runs every row.*

A chart is opened again and nothing in it has changed. Whether a card is shown depends on what the user did with it, as
the CDS Client reported it to the feedback endpoint. Days count from the answer.

| The user | Info card | Warning card | Critical card |
|---|---|---|---|
| did nothing | shown | shown | shown |
"""
EXCEPTIONS = """
These rules differ:

| Rule | The user | Info card | Warning card |
|---|---|---|---|
"""
TAIL = """
- **New or worse evidence brings a card back at once**, whatever was answered: a new finding or another onset of one, a
  higher finding level or steroid level, another limit of the rule crossed. So does evidence that became less, and a
  rule that has become more urgent than the card that was answered. The same finding coded again, a resource saved
  again, a value within the same limits and a birthday are not new evidence.
- **A critical card is never silenced.** It is alone at first; after any answer, or {alone} hours after it was first
  shown, the other cards stand beneath it.
- **"{wrong}"** silences nothing. Each resource that the card shows is left out of the record, for all rules, until it
  has another version; so a critical card may go too. It is named in `sources` of the response extension
  (`called-wrong`) and counted (`calledWrong`), and every card says how many there are. A version is `meta.versionId`,
  else `meta.lastUpdated`, together with what is read of the resource. A later answer to the same card takes it back.
- The newest answer counts. An answer of one CDS Client is not seen by another.
- The card that names what could not be checked is shown at each call until it is answered.
- `repeat = "once"` in a client's entry is for a CDS Client that never sends feedback: a card that was shown and has not
  changed is hidden, a warning for {once_warning} days, an info card for {once_info}. Critical cards and the card that
  names what could not be checked never are.
- When the store cannot be read, every card is shown and nothing is left out.
- What is kept: the uuid of each card, its rules, indicator and order keys, the answer, and keyed fingerprints of the
  patient, of the evidence and of what the card cites. Nothing of a chart.
"""


def memory_page(folder: Path) -> str:
    """The page: every answer by indicator, the rules that differ, what brings a card back."""
    deck = load_deck(folder)
    rules = [compiled.rule for compiled in load_knowledge(folder, date.min).rules.by_number]
    plain = next(rule for rule in rules if rule.snooze_days is None and not _named_by_a_reason(rule, deck))
    rows = [f"| {said} | {' | '.join(_cells(plain, answer, deck))} |" for said, answer in _answers(deck)]
    days = deck.cards.snooze_days.shown_once
    wrong = next(reason.display for reason in deck.cards.override_reasons.values() if reason.disputes)
    tail = TAIL.format(
        alone=deck.cards.limits.critical_alone_hours, wrong=wrong, once_warning=days.warning, once_info=days.info
    )
    return HEAD + "\n".join(rows) + "\n" + EXCEPTIONS + "\n".join(_exceptions(rules, plain, deck)) + "\n" + tail


def _answers(deck: CardDeck) -> Iterator[tuple[str, Answered]]:
    """Each thing that a user can do, in words and as outcome and reason."""
    yield "accepted a suggestion", ("accepted", None)
    yield "dismissed it without a reason", ("overridden", None)
    for code, reason in deck.cards.override_reasons.items():
        yield f'dismissed it: "{reason.display}" (`{code}`)', ("overridden", code)
    yield "dismissed it for a reason of the site's own", ("overridden", "a-reason-of-the-site")


def _cells(rule: Rule, answer: Answered, deck: CardDeck) -> tuple[str, ...]:
    return tuple(_cell(rule, answer, indicator, deck) for indicator in INDICATORS)


def _cell(rule: Rule, answer: Answered, indicator: Indicator, deck: CardDeck) -> str:
    outcome, code = answer
    reason = deck.cards.override_reasons.get(code or "")
    if reason is not None and reason.disputes:
        return "what it shows is left out until it changes"
    if indicator == "critical" and reason is not None and reason.lowers_critical_hours is not None:
        return f"shown as a warning for {reason.lowers_critical_hours} hours"
    days = days_away(outcome, code, rule, indicator, deck)
    return "shown" if days is None else f"hidden for {days} days"


def _exceptions(rules: list[Rule], plain: Rule, deck: CardDeck) -> Iterator[str]:
    """A line for each rule and answer that comes out otherwise than for other rules; like answers share one."""
    for rule in rules:
        alike: dict[tuple[str, ...], list[str]] = {}
        for said, answer in _answers(deck):
            cells = _cells(rule, answer, deck)[:2]
            if cells != _cells(plain, answer, deck)[:2]:
                alike.setdefault(cells, []).append(said)
        for cells, answers in alike.items():
            yield f"| {rule.number} {rule.title} | {_any_of(answers, deck)} | {' | '.join(cells)} |"


def _any_of(answers: list[str], deck: CardDeck) -> str:
    others = [said for said, _ in _answers(deck) if said not in answers]
    few = len(answers) <= len(others)
    return "; ".join(answers) if few else f"gave any answer, but not: {'; '.join(others)}"


def _named_by_a_reason(rule: Rule, deck: CardDeck) -> bool:
    return any(rule.number in reason.snoozes_not for reason in deck.cards.override_reasons.values())
