"""``docs/rules.md``: what a clinician reads and signs, made from ``rules/``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from cds_service.cards.knowledge import load_deck
from cds_service.cases import Case, load_cases
from cds_service.cli.rules_page.answers import answers
from cds_service.cli.rules_page.domains import risk_domains
from cds_service.cli.rules_page.findings import findings
from cds_service.cli.rules_page.firing import beside_other_rules, when_it_fires
from cds_service.cli.rules_page.gates import gates_here, gates_of_all_rules
from cds_service.cli.rules_page.orders import what_it_offers
from cds_service.cli.rules_page.words import Pack, asked_by, meanings
from cds_service.rule_engine.loader import load_knowledge
from cds_service.rule_engine.model import Rule

HEAD = """# The rules

*Made from `rules/` by `make fix`. Do not edit.*

Decision support, not diagnosis: every card is a prompt to a licensed clinician, who can see and check what it rests on.
No card says that a patient has or lacks a disease, no card starts or stops a drug, and no card does not mean low risk.
"""


def rules_page(folder: Path) -> str:
    """What holds for all rules, then each rule in plain sentences, with its evidence and worked patients."""
    pack = Pack(load_knowledge(folder, date.min), load_deck(folder))
    cases: dict[str, list[Case]] = defaultdict(list)
    for rule_id, case in load_cases(folder):
        cases[rule_id].append(case)
    parts = [HEAD, *_overview(pack), *_for_all_rules(pack)]
    for rule in pack.rules:
        parts += _rule(rule, pack, cases[rule.id])
    return "\n".join((*parts, *_shared_questions(pack))) + "\n"


def _overview(pack: Pack) -> Iterator[str]:
    yield "| No. | Rule | Card | Clinically reviewed | Review by |"
    yield "|---|---|---|---|---|"
    for rule in pack.rules:
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


def _for_all_rules(pack: Pack) -> Iterator[str]:
    """What is said once for every rule: gates, findings, domains, tiers, steroids, weight, dates, cards, answers."""
    cards, tiers = pack.deck.cards, pack.knowledge.rules.tiers
    yield "## What holds for all rules\n"
    yield "### Gates\n"
    yield from gates_of_all_rules(pack)
    yield "\n### Findings\n"
    yield "What counts as a finding, and its level. F0 is no finding.\n"
    yield from findings(pack)
    yield "\n### Risk domains\n"
    yield "They are counted, never weighted.\n"
    yield from risk_domains(pack)
    yield "\n### Tiers\n"
    yield "The tier says how urgent the whole picture is. The highest that is reached counts; the card prints why.\n"
    yield "| Tier | Reached when | Highest indicator |"
    yield "|---|---|---|"
    for tier, reached in tiers.reached_when.items():
        yield f"| {tier} | {reached} | {tiers.caps.get(tier, 'no card')} |"
    yield "\nThe tier has no say over a rule with its own trigger.\n"
    yield "### Steroid exposure\n"
    yield from (f"- Level {level}: {pack.knowledge.steroids.level_in_words(level)}." for level in (1, 2, 3))
    yield from (f"- {sentence}" for sentence in cards.page.steroids)
    yield "\n### Weight\n"
    yield from (f"- {sentence}" for sentence in cards.page.weight)
    yield "\n### Dates\n"
    yield from (f"- {sentence}" for sentence in cards.page.dates)
    yield "\n### Cards\n"
    yield from (f"- {sentence}" for sentence in cards.page.cards)
    for group, leads in cards.leads.items():
        yield f"- {group.capitalize()} card, who leads among equals: {', '.join(leads)}."
    yield "\n### Answers\n"
    yield from (f"- {sentence}" for sentence in cards.page.answers)
    yield ""


def _rule(rule: Rule, pack: Pack, cases: list[Case]) -> Iterator[str]:
    criteria = pack.criteria(rule)
    yield f"## {rule.number} {rule.title}\n"
    yield f"`{rule.id}` version {rule.version}; owner {rule.owner}; checked by: {rule.checker or 'nobody yet'}.\n"
    if rule.extension:
        yield "An extension beyond the mission document (EXT): a site can switch these rules off together.\n"
    yield from when_it_fires(rule, pack)
    yield from gates_here(rule, pack)
    yield from beside_other_rules(rule, pack)
    yield "\n**The words above mean**\n"
    yield from meanings(asked_by(rule, criteria), criteria, pack)
    yield from what_it_offers(rule, pack)
    yield from _contradictions(rule, pack)
    yield from answers(rule, pack)
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


def _contradictions(rule: Rule, pack: Pack) -> Iterator[str]:
    said = [written.says for written, _ in pack.knowledge.rules.contradictions.each if rule.id in written.rules]
    if said:
        yield "\n**Where the record contradicts itself it says**\n"
        yield from (f'- "{sentence}"' for sentence in said)


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


def _shared_questions(pack: Pack) -> Iterator[str]:
    yield "## Shared questions\n"
    yield "Questions that several rules ask by name.\n"
    criteria = pack.knowledge.gate_criteria
    yield from meanings(criteria, criteria, pack)
