"""``docs/rules.md`` leaves out nothing of a rule that a clinician signs: what is in ``rules/`` stands on the page.

What must be there is read from the files themselves, not through what makes the page.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from cds_service.cli.rules_page import rules_page
from tests.rules.tables import RULES

Table = dict[str, Any]


def toml(path: Path) -> Table:
    return tomllib.loads(path.read_text(encoding="utf-8"))


PAGE = rules_page(RULES)
WRITTEN = [toml(path) for path in sorted(RULES.glob("*/rule.toml"))]
ORDERS: dict[str, Table] = toml(RULES / "orders.toml")["order"]
PREGNANCY: Table = toml(RULES / "orders.toml")["pregnancy"]
CARDS = toml(RULES / "cards.toml")
REASONS: dict[str, Table] = CARDS["override_reasons"]
GATES = toml(RULES / "gates.toml")
DOMAINS = toml(RULES / "risk_domains.toml")["domain"]
WEIGHT = toml(RULES / "weight.toml")
TIERS = toml(RULES / "tiers.toml")
TITLES = toml(RULES / "value_sets.toml")
NUMBERS = {rule["id"]: rule["number"] for rule in WRITTEN}
by_rule = pytest.mark.parametrize("rule", WRITTEN, ids=list(NUMBERS.values()))


def section(number: str) -> str:
    """What the page says of one rule."""
    (found,) = (part for part in re.split(r"(?m)^(?=## )", PAGE) if part.startswith(f"## {number} "))
    return found


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without the header; none where the heading is not there."""
    lines = text.partition(f"**{heading}**\n\n")[2].splitlines()
    table = lines[: next((at for at, line in enumerate(lines) if not line.startswith("|")), len(lines))]
    return [line.strip("| ").split(" | ") for line in table[2:]]


def cell(expression: str) -> str:
    return " ".join(expression.replace("_", " ").split())


def away(number: str) -> dict[str, str]:
    """Each answer and how long it keeps the card of a rule away."""
    table = rows(section(number), "Answers (override reasons), and how long each keeps the card away")
    return {answer: stay for stay, answers in table for answer in answers.split("; ")}


@pytest.mark.parametrize("domain", DOMAINS, ids=[domain["name"] for domain in DOMAINS])
def test_every_risk_domain_stands_with_what_shows_it_and_what_makes_it_strong(domain: Table) -> None:
    """B-06, B-81: each value set, window and shared question."""
    table = PAGE.partition("### Risk domains")[2].partition("\n### ")[0]
    (row,) = (line for line in table.splitlines() if line.startswith(f"| {domain['title']}"))
    title, shown, strong = row.strip("| ").split(" | ")
    for field, said in (("sets", shown), ("strong", strong)):
        assert all(TITLES[name]["title"] in said for name in domain.get(field, ()))
    for field, said in (("unless", title), ("when", shown), ("strong_when", strong)):
        assert all(GATES["criteria"][name]["says"] in said for name in domain.get(field, "").split() if name != "or")
    assert all(f"within {days} days" in shown for days in domain.get("within_days", {}).values())
    assert (strong == "never") is not any(field.startswith("strong") for field in domain)


def test_what_is_said_once_for_every_rule_stands_on_the_page() -> None:
    assert all(f"- {sentence}\n" in PAGE for sentences in CARDS["page"].values() for sentence in sentences)


def test_the_numbers_by_which_weights_are_read_stand_on_the_page() -> None:
    said = PAGE.partition("### Weight")[2].partition("\n### ")[0]
    numbers = {name: value for name, value in WEIGHT.items() if isinstance(value, int | float)}
    rounded = {**numbers, "pounds_per_kilogram": round(numbers["pounds_per_kilogram"], 1)}
    assert [name for name, value in rounded.items() if not re.search(rf"\b{value:g}\b", said)] == []


@by_rule
def test_every_answer_of_the_rule_stands_on_the_page(rule: Table) -> None:
    """C7: its own override reasons and the common ones, and what accepting and dismissing do."""
    common = {reason["display"] for reason in REASONS.values() if not reason.get("per_rule")}
    own = {REASONS[code]["display"] for code in rule.get("override_reasons", ())}
    said = set(away(rule["number"]))
    assert common | own | {"a suggestion accepted", "dismissed without a reason"} <= said
    others = {reason["display"] for reason in REASONS.values()} - common - own
    assert others & said == set()


@pytest.mark.parametrize(
    ("number", "answer", "stay"),
    [
        ("R08", "Will monitor", "30 days"),
        ("R08", "Patient declined", "180 days"),
        ("R08", "a suggestion accepted", "warning 30 days, info 180 days"),
        ("R12", "a suggestion accepted", "180 days"),  # it can only be information
        ("R12", "Specialist protocol", "180 days"),
        ("R11", "Dose is already being reduced", "30 days"),
        ("R16", "Will monitor", "365 days"),
        ("R16", "Patient cannot be tested", "365 days"),
        ("R16", "The data is wrong", "no days: what the card shows is left out until it changes"),
        ("R03", "Not in line with the goals of care", "never"),
        ("R23", "Not in line with the goals of care", "never"),
        ("R01", "dismissed without a reason", "30 days"),  # as a warning
    ],
)
def test_how_long_an_answer_counts(number: str, answer: str, stay: str) -> None:
    """B-51, B-80 and C5."""
    assert away(number)[answer] == stay


@by_rule
def test_a_critical_card_is_said_never_to_be_kept_away(rule: Table) -> None:
    """A-16; B-25: for 24 hours a warning where it was assessed today."""
    can_be_critical = any(fires["indicator"] == "critical" for fires in rule["fires"])
    assert ("as critical never" in section(rule["number"])) is can_be_critical
    assessed = "assessed-today-not-emergency" in rule.get("override_reasons", ())
    assert ("makes it a warning for 24 hours" in section(rule["number"])) is assessed


@by_rule
def test_every_order_stands_with_its_step_and_when_it_is_offered_and_pre_selected(rule: Table) -> None:
    table = rows(section(rule["number"]), "It offers")
    assert len(table) == len(rule["offers"])
    for (label, step, when, preselected, again), offer in zip(table, rule["offers"], strict=True):
        order = ORDERS[offer["order"]]
        assert label.startswith(order["label"])
        assert label.endswith("(text only)") is not ("codings" in order or "details" in order)
        assert step == ("second" if offer.get("second") else "first")
        assert when.startswith(cell(offer.get("when", "always")))
        assert preselected == cell(offer.get("preselect_when", "never"))
        assert str(order.get("look_back_days") or "") in again
        since = offer.get("seen_since")
        assert ("what was before the newest" in again) is (since is not None)
        assert cell(since or "") in again


@by_rule
def test_every_caution_stands_with_the_order_when_it_holds_and_what_is_read(rule: Table) -> None:
    """G13, B-55."""
    table = rows(section(rule["number"]), "Beside an order may stand")
    for offer in rule["offers"]:
        order = ORDERS[offer["order"]]
        beside = {text: when for labels, text, when in table if order["label"] in labels}
        for caution in order.get("cautions", ()):
            when = beside[caution["text"]]
            read = (*caution.get("conditions", ()), *caution.get("results", ()))
            assert all(TITLES[name]["title"] in when for name in read)
            assert all(f"`{unit}`" in when for unit in caution.get("units", ()))
            assert all(f"{caution[limit]}" in when for limit in ("below", "within_days") if limit in caution)
        if order.get("ionising"):
            exempt = rule["number"] in PREGNANCY["exempt_rules"]
            said = PREGNANCY["exempt_text"] if exempt else f"(in place of the order) {PREGNANCY['text']}"
            assert str(PREGNANCY["delivery_within_days"]) in beside[said]


@by_rule
def test_every_gate_is_named_at_the_rule_and_in_words_before_the_rules(rule: Table) -> None:
    """G1-G15: what each means here, or that it acts as on every rule, or that this rule does not ask it."""
    numbers = [gate["number"] for gate in GATES["gate"]]
    assert numbers == [f"G{number}" for number in range(1, 16)]
    here = section(rule["number"]).partition("**Gates**\n")[2].partition("\n\n**")[0]
    assert set(re.findall(r"\bG\d+\b", here)) == set(numbers)
    for gate in GATES["gate"]:
        assert f"| {gate['number']} | {gate['title']} | {gate['says']} |" in PAGE


@by_rule
def test_what_a_gate_lifts_or_asks_at_the_rule_is_said(rule: Table) -> None:
    """G10, G11, G15 as the rule has them; G1 and G3 for each question that takes other entries."""
    here = section(rule["number"]).partition("**Gates**\n")[2].partition("\n\n**")[0]
    assert ("Speaks in hospice" in here) is rule.get("passes_hospice", False)
    assert ("Silent in hospice" in here) is not rule.get("passes_hospice", False)
    assert ("Palliative care does not lower it" in here) is (rule["group"] == "emergency")
    assert ("Not for patients under" in here) is ("youngest" in rule)
    asks = " ".join(s["when"] for s in rule.get("suppressed", ())) + " ".join(f["when"] for f in rule["fires"])
    assert ("G15 functional disorder: Asked here" in here) is ("functional_disorder" in asks)
    lines = dict(re.findall(r"- (G1|G3) [a-z ]*: (.*)", here))
    for name, criterion in rule["criteria"].items():
        assert "status" not in criterion or cell(name) in lines["G1"]
        assert "confirmed" not in criterion or cell(name) in lines["G3"]


@by_rule
def test_tier_and_own_trigger_are_said(rule: Table) -> None:
    """A-02; section 6."""
    text = section(rule["number"])
    own = rule.get("own_trigger", False)
    assert ("It has its own trigger" in text) is own
    assert ("The tier decides" in text) is not own
    assert ("its pattern alone makes tier 3" in text) is rule.get("pattern_tier", False)
    alone = [fires["name"] for fires in rule["fires"] if fires.get("own_trigger") and not own]
    assert not alone or f"Own trigger, whatever the tier: {', '.join(alone)}." in text


@pytest.mark.parametrize(
    ("number", "line"),
    [
        ("R08", "in tier E or 3 at most warning; in tier 2 at most info; in tier 1 or 0 no card"),
        ("R16", "in tier E or 3 or 2 at most info; in tier 1 or 0 no card"),
    ],
)
def test_what_the_tier_allows(number: str, line: str) -> None:
    """Section 6: tier 3 a warning, tier 2 information, tiers 1 and 0 no card."""
    assert f"The tier decides: {line}." in section(number)


@by_rule
def test_who_carries_whom_is_said_on_both_sides(rule: Table) -> None:
    """A-25, B-29."""
    carriers = ", ".join(NUMBERS[other] for other in rule.get("carried_by", ()))
    assert not carriers or f"the first of these that fires: {carriers}." in section(rule["number"])
    for other in rule.get("carried_by", ()):
        assert f"Its card carries {rule['number']} (" in section(NUMBERS[other])


@by_rule
def test_what_other_rules_took_and_what_is_known_at_the_place_is_said(rule: Table) -> None:
    """B-27, B-28, B-69."""
    meanings = dict(re.findall(r"(?m)^- \*([^*]+)\*: (.*)", section(rule["number"])))
    for name, criterion in rule["criteria"].items():
        said = meanings[cell(name)]
        for field in ("not_taken_by", "not_silenced_by", "rule_fired", "rule_matched"):
            assert all(NUMBERS[other] in said for other in criterion.get(field, ()))
        if "unless_known_at_site" in criterion:
            assert rule["criteria"][criterion["unless_known_at_site"]]["says"] in said
    taking = {
        NUMBERS[other["id"]]
        for other in WRITTEN
        for criterion in other["criteria"].values()
        if rule["id"] in (*criterion.get("not_taken_by", ()), *criterion.get("not_silenced_by", ()))
    }
    for suppression in rule.get("suppressed", ()):
        (line,) = re.findall(rf"(?m)^- {suppression['reason']}: .*", section(rule["number"]))
        assert all(number in line for number in taking)
        assert ("alone too (B-28)" in line) is bool(taking and suppression.get("silences"))


@by_rule
def test_how_old_an_order_may_be_that_is_still_active_is_said(rule: Table) -> None:
    """B-73, B-89, B-94: beside every window for visits in which orders count."""
    meanings = dict(re.findall(r"(?m)^- \*([^*]+)\*: (.*)", section(rule["number"])))
    for name, criterion in rule["criteria"].items():
        if "visit" in criterion and "within_days" in criterion and criterion.get("ordered_counts", True):
            limit = f"within {criterion['open_order_days']} days" if "open_order_days" in criterion else ": B-73"
            (said,) = re.findall(r"an order that is still active counts .*?(?=;|\)\.)", meanings[cell(name)])
            assert said.endswith(limit)
            assert ("not written before" in said) is criterion.get("order_since", False)


@by_rule
def test_what_it_says_of_a_record_that_contradicts_itself_stands_at_the_rule(rule: Table) -> None:
    for contradiction in toml(RULES / "contradictions.toml")["contradiction"]:
        bears = rule["id"] in contradiction["rules"]
        assert (f'- "{contradiction["says"]}"' in section(rule["number"])) is bears


def test_every_line_of_a_gate_stands_at_some_rule() -> None:
    """A line that fits no rule names something mistyped."""
    for gate in GATES["gate"]:
        for line in gate.get("line", ()):
            opening = line["says"].partition("{")[0]
            assert f"- {gate['number']} {gate['title']}: {opening}" in PAGE, line


def test_every_finding_stands_with_its_level_and_limit() -> None:
    """A1, B-04: "below the cut-off" says nothing without the number."""
    findings = toml(RULES / "findings.toml")
    head = PAGE.partition("## R01")[0]
    for coded in findings["coded"]:
        assert f"| {coded['says']} | F{coded['level']} |" in head
    for measured in findings["measured"]:
        (row,) = re.findall(rf"(?m)^\| {re.escape(measured['says'])} \| F{measured['level']} \| (.*) \|$", head)
        numbers = [n for name in ("below", "at_most", "above", "at_least") for n in measured.get(name, {}).values()]
        assert numbers
        assert all(f"{number}" in row for number in (*numbers, measured["within_days"]))
    assert "below 27 kg (male), 16 kg (female)" in head


def test_tiers_and_leads_stand_before_the_rules() -> None:
    head = PAGE.partition("## R01")[0]
    for tier, reached in TIERS["reached_when"].items():
        assert f"| {tier} | {reached} | {TIERS['caps'].get(tier, 'no card')} |" in head
    assert set(TIERS["caps"]) <= set(TIERS["reached_when"])
    for leads in CARDS["leads"].values():
        assert ", ".join(leads) in head


def test_every_table_is_one_and_no_sign_of_a_text_became_markup() -> None:
    """Units such as 10*3/uL and 10*9/L are no emphasis, and no cell holds a bar."""
    html = MarkdownIt("commonmark").enable("table").render(PAGE)
    assert html.count("<table>") == len(re.findall(r"(?m)^\|(?:---\|)+$", PAGE))
    assert "|" not in re.sub(r"<[^>]*>", "", html)
    emphasised = set(re.findall(r"<em>(.*?)</em>", html.partition("<h2>")[2]))
    assert [text for text in emphasised if re.search(r"[/^]|\d\*", text)] == []
