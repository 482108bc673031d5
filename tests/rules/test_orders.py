"""``rules/orders.toml`` and ``rules/cards.toml``: every code real, every rule's orders there, no forbidden sentence."""

from __future__ import annotations

import csv
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from cds_service.cards.knowledge import CardDeck, load_deck
from cds_service.rule_engine.model import Rule
from cds_service.rule_engine.written import convert, read_toml

RULES = Path(__file__).parents[2] / "rules"
ORDERS: dict[str, Any] = tomllib.loads((RULES / "orders.toml").read_text(encoding="utf-8"))["order"]
WRITTEN = {file.parent.name: convert(file, read_toml(file), Rule) for file in sorted(RULES.glob("*/rule.toml"))}

ROWS = [
    row
    for file in sorted((RULES / "value_sets").glob("*.csv"))
    for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines())
]
CODED = [(key, c) for key, order in ORDERS.items() for c in (*order.get("codings", ()), *order.get("details", ()))]

# What section 7 of the clinical specification names as an action, by rule, as our order keys.
ACTIONS = {
    "R01": "referral-emergency glucose ct-head stroke-assessment",
    "R02": "referral-neurology-emergency spirometry mip-mep potassium phosphate magnesium calcium ck glucose tsh "
    "blood-count renal crp emg-ncs",
    "R03": "spine-mri referral-spinal-surgery-emergency",
    "R04": "referral-emergency referral-respiratory spirometry blood-gas swallow-assessment referral-dietitian",
    "R05": "ck renal potassium urinalysis medication-review tsh",
    "R06": "referral-neurology emg-ncs ck tsh vitamin-b12 calcium",
    "R07": "emg-ncs hba1c vitamin-b12 mma immunofixation tsh renal liver blood-count esr coeliac "
    "referral-rehabilitation audit-c injury-x-ray",
    "R08": "ck tsh potassium calcium magnesium phosphate renal liver blood-count crp esr hba1c vitamin-b12 vitamin-d "
    "hiv-test emg-ncs referral-neurology acetylcholine-receptor-antibody",
    "R09": "ck liver ldh tsh ana myositis-antibodies emg-ncs thigh-mri referral-rheumatology",
    "R10": "ck referral-paediatric-neurology",
    "R11": "ck potassium hba1c tsh vitamin-d grip-or-chair-rise referral-physiotherapy emg-ncs thigh-mri",
    "R12": "grip-or-chair-rise",
    "R13": "tsh free-t4 cushing-tests vitamin-d alp pth lactate ck ecg referral-endocrinology",
    "R14": "referral-dietitian crp blood-count alp tsh fit chest-x-ray hiv-monitoring",
    "R15": "nutrition-screen referral-dietitian potassium phosphate magnesium vitamin-b12 folate vitamin-d ferritin "
    "tsh coeliac",
    "R16": "grip-or-chair-rise referral-physiotherapy referral-dietitian vitamin-d tsh hba1c renal dxa",
    "R17": "referral-physiotherapy referral-occupational-therapy",
    "R18": "spirometry weight ecg echocardiography referral-rehabilitation referral-neurology",
    "R19": "crp esr referral-rheumatology referral-physiotherapy",
    "R20": "ck potassium magnesium phosphate liver vitamin-b12 folate referral-alcohol-support",
    "R21": "referral-rehabilitation referral-dietitian injury-x-ray emg-ncs",
    "R22": "falls-assessment referral-physiotherapy referral-falls-service",
    "R23": "pressure-care referral-physiotherapy leg-ultrasound referral-occupational-therapy",
    "R24": "ck tsh vitamin-b12 emg-ncs spirometry",
    "R25": "referral-rehabilitation ck tsh emg-ncs",
}


@pytest.fixture(scope="module")
def deck() -> CardDeck:
    return load_deck(RULES)


@pytest.mark.parametrize(("number", "keys"), ACTIONS.items())
def test_every_action_of_section_7_is_an_order(number: str, keys: str) -> None:
    assert set(keys.split()) <= set(ORDERS)


@pytest.mark.parametrize(("key", "coding"), CODED)
def test_every_code_stands_in_a_value_set_with_this_display_and_source(key: str, coding: dict[str, str]) -> None:
    """Every code was seen, code and display together, in a source that is named."""
    found = [row for row in ROWS if (row["system"], row["code"]) == (coding["system"], coding["code"])]
    assert {row["display"] for row in found} == {coding["display"]}
    assert coding["verified_by"] in {row["verified_by"] for row in found}
    assert not coding["system"].startswith("urn:")


def test_an_order_without_a_verified_code_is_listed_as_wanted(deck: CardDeck) -> None:
    """B-53: card text; no suggestion."""
    without = {key for key, order in ORDERS.items() if not order.get("codings") and not order.get("details")}
    assert set(deck.orders.wanted) == without
    assert all(deck.orders.wanted.values())
    assert {"immunofixation", "mma", "coeliac", "mip-mep"} <= without
    assert "emg-ncs" not in without


def test_orders_of_an_emergency_are_marked_as_such() -> None:
    urgent = {key for key, order in ORDERS.items() if order.get("priority") == "stat"}
    assert urgent == {
        "referral-neurology-emergency",
        "referral-emergency",
        "ct-head",
        "spine-mri-emergency",
        "spine-ct",
        "glucose-now",
    }


def test_x_ray_and_ct_are_marked_as_ionising() -> None:
    """G11."""
    ionising = {key for key, order in ORDERS.items() if order.get("ionising")}
    assert ionising == {"ct-head", "chest-x-ray", "injury-x-ray", "dxa", "spine-ct"}


@pytest.mark.parametrize("word", ["biopsy", "stimulation", "prednis", "NSAID", "anti-inflammatory"])
def test_no_order_is_a_biopsy_a_stimulation_or_a_drug(word: str) -> None:
    """G12, A8, A9, S110: text at most, never an action."""
    offered = " ".join(f"{key} {o['label']} {o['description']}" for key, o in ORDERS.items())
    assert word.lower() not in offered.lower()


def sentences() -> list[str]:
    """Every text of the two files, and of the rules, that a card can show."""
    cards = tomllib.loads((RULES / "cards.toml").read_text(encoding="utf-8"))
    texts = [
        *cards["words"].values(),
        *cards["gap"].values(),
        *(r["display"] for r in cards["override_reasons"].values()),
    ]
    texts += [
        t for o in ORDERS.values() for t in (o["label"], o["description"], *(c["text"] for c in o.get("cautions", ())))
    ]
    for rule in WRITTEN.values():
        texts += [rule.summary, rule.opening, *(a.text for a in rule.advice)]
        texts += [t for f in rule.fires for t in (f.summary, f.opening) if t]
    return [text for text in texts if isinstance(text, str)]


SAYS_A_DISEASE = re.compile(
    r"\b(?:patient|he|she) (?:has|have|had|lacks|suffers)\b|\bdiagnos(?:is of|ed with)\b|\bno disease\b|\blow risk\b",
    re.IGNORECASE,
)


@pytest.mark.parametrize("text", sentences())
def test_no_sentence_says_that_a_patient_has_or_lacks_a_disease(text: str) -> None:
    """Decision support, not diagnosis."""
    assert not SAYS_A_DISEASE.search(text)


def test_every_rule_offers_orders_that_exist_and_reasons_that_exist(deck: CardDeck) -> None:
    for rule in WRITTEN.values():
        assert {offer.order for offer in rule.offers} <= set(ORDERS), rule.id
        assert set(rule.override_reasons) <= set(deck.reasons), rule.id


def test_all_25_rules_have_a_place_among_the_leads(deck: CardDeck) -> None:
    """C3, C4, B-25; R05 has two (A-74)."""
    assert {number for _, number in deck.rank} == {f"R{n:02}" for n in range(1, 26)}


# The codes of override reasons go into stores and reports of others: removing or renaming one is a breaking change.
PER_RULE = {
    "dose-already-being-reduced", "specialist-protocol", "intentional-loss", "cannot-test", "specialist-excluded",
    "assessed-today-not-emergency",
}  # fmt: skip


def test_override_reason_codes_are_stable(deck: CardDeck) -> None:
    """C56."""
    common = {reason.code for reason in deck.common_reasons}
    assert set(deck.reasons) - common == PER_RULE
    assert common == {
        "already-done-elsewhere", "under-specialist-care", "diagnosis-known", "will-monitor", "patient-declined",
        "goals-of-care", "data-wrong", "not-relevant", "snooze-30-d",
    }  # fmt: skip
