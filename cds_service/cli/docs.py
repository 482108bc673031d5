"""``atrophy-cds docs``: the pages of ``docs/`` that are made from ``rules/``, so that they cannot drift."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path

import click

from cds_service.cards.knowledge import CardDeck, load_deck
from cds_service.cases import Case, load_cases
from cds_service.cli.coverage import coverage_page
from cds_service.cli.profiles_page import profiles_page
from cds_service.cli.threat_model import threat_page
from cds_service.rule_engine.criterion import Criterion
from cds_service.rule_engine.expression import names_in
from cds_service.rule_engine.loader import Knowledge, load_knowledge
from cds_service.rule_engine.model import Rule
from cds_service.rule_engine.plain_words import (
    in_words,
    meaning,
    name_in_words,
    not_under_age,
    reasons_for_silence,
    when_it_fires,
)
from cds_service.settings import Settings

NOT_CURRENT = 1
HEAD = """# The rules

*Made from `rules/` by `make fix`. Do not edit.*

Decision support, not diagnosis: every card is a prompt to a licensed clinician, who can see and check what it rests on.
No card says that a patient has or lacks a disease, no card starts or stops a drug, and no card does not mean low risk.
"""


def write_docs(*, check: bool) -> int:
    """Write each generated page; with ``check`` only compare. 0, or 1 when a page was not current."""
    folder = Settings.from_environment().rules_dir
    docs = folder.parent / "docs"
    stale = 0
    for name, render in PAGES.items():
        text, path = render(folder), docs / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            click.echo(f"docs/{name} is not current: run make fix", err=True)
            stale = NOT_CURRENT
        else:
            docs.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return stale


def rules_page(folder: Path) -> str:
    """``docs/rules.md``: each rule in plain sentences, with its evidence and worked patients."""
    knowledge, deck = load_knowledge(folder, date.min), load_deck(folder)
    cases: dict[str, list[Case]] = defaultdict(list)
    for rule_id, case in load_cases(folder):
        cases[rule_id].append(case)
    parts = [HEAD, *_overview(knowledge)]
    for compiled in knowledge.rules.by_number:
        parts += _rule(compiled.rule, knowledge, deck, cases[compiled.rule.id])
    return "\n".join(parts) + "\n"


PAGES: Mapping[str, Callable[[Path], str]] = {
    "rules.md": rules_page,
    "coverage.md": coverage_page,
    "profiles.md": profiles_page,
    "threat-model.md": threat_page,
}


def _overview(knowledge: Knowledge) -> Iterator[str]:
    yield "| No. | Rule | Card | Clinically reviewed | Review by |"
    yield "|---|---|---|---|---|"
    for compiled in knowledge.rules.by_number:
        rule = compiled.rule
        cards: dict[str, dict[str, None]] = {}
        for fires in rule.fires:
            cards.setdefault(rule.card_for(fires.indicator), {})[fires.indicator] = None
        shown = "; ".join(f"{card}: {', '.join(indicators)}" for card, indicators in cards.items())
        reviewed = rule.checker or "**not clinically reviewed**"
        title = f"[{rule.title}](#{_anchor(rule)})"
        yield f"| {rule.number} | {title} | {shown} | {reviewed} | {rule.review_by} |"
    yield ""


def _anchor(rule: Rule) -> str:
    text = f"{rule.number} {rule.title}".lower()
    return "".join(c for c in text.replace(" ", "-") if c.isalnum() or c == "-")


def _rule(rule: Rule, knowledge: Knowledge, deck: CardDeck, cases: list[Case]) -> Iterator[str]:
    yield f"## {rule.number} {rule.title}\n"
    yield f"`{rule.id}` version {rule.version}; owner {rule.owner}; checked by: {rule.checker or 'nobody yet'}.\n"
    yield from _when(rule, knowledge)
    yield from _offers(rule, deck)
    yield "\n**Evidence**\n"
    for evidence in rule.evidence:
        yield f"- {evidence.citation} ({evidence.status})"
    yield f"\nRulings used: {', '.join(rule.rulings)}. Claims of the mission document: {', '.join(rule.claims)}.\n"
    yield "**Changes**\n"
    for change in rule.changes:
        yield f"- {change.version} ({change.date}): {change.text}"
    yield ""
    yield "| Worked patient | | Must come out |"
    yield "|---|---|---|"
    for case in cases:
        yield f"| {case.id} | {case.title} | {'; '.join(_must_come_out(case))} |"
    yield ""


def _must_come_out(case: Case) -> Iterator[str]:
    yield from (f"{rule_id}: {answer}" for rule_id, answer in case.expect.items())
    for words, names in (
        ("offers", case.offers),
        ("does not offer", case.does_not_offer),
        ("pre-selects", case.preselects),
        ("does not pre-select", case.does_not_preselect),
        ("says", tuple(f'"{text}"' for text in case.says)),
        ("does not say", tuple(f'"{text}"' for text in case.does_not_say)),
    ):
        if names:
            yield f"{words} {', '.join(names)}"


def _when(rule: Rule, knowledge: Knowledge) -> Iterator[str]:
    yield "**It fires**\n"
    for fires in rule.fires:
        yield f"- *{fires.indicator}* ({fires.name}): {when_it_fires(fires)}."
        yield f'  Card: "{fires.summary or rule.summary}"'
    yield "\n**It stays silent although it would fire**\n"
    for silence in reasons_for_silence(rule):
        yield f"- {silence.reason}: {silence.words}."
    if too_young := not_under_age(rule):
        yield f"- {too_young}"
    yield "\n**The words above mean**\n"
    criteria = {**knowledge.gate_criteria, **rule.criteria}
    for name in _used(rule, criteria):
        yield f"- *{name_in_words(name)}*: {meaning(criteria[name], knowledge.tables)}."


def _offers(rule: Rule, deck: CardDeck) -> Iterator[str]:
    yield "\n**It offers**\n"
    for offer in rule.offers:
        when = f", when {in_words(offer.when)}" if offer.when else ""
        yield f"- {deck.orders.label(offer.order)}{when}."
    for advice in rule.advice:
        when = f" (when {in_words(advice.when)})" if advice.when else ""
        yield f'- "{advice.text}"{when}'


def _used(rule: Rule, criteria: Mapping[str, Criterion]) -> list[str]:
    """Every criterion that the rule's expressions reach, in reading order."""
    found: dict[str, None] = {}
    waiting = (
        [f.when for f in rule.fires] + [f.unless for f in rule.fires if f.unless] + [s.when for s in rule.suppressed]
    )
    waiting += [o.when for o in rule.offers if o.when] + [a.when for a in rule.advice if a.when]
    while waiting:
        for name in sorted(names_in(waiting.pop(0))):
            if name not in found:
                found[name] = None
                inner = criteria[name].when
                waiting += [inner] if inner else []
    return list(found)
