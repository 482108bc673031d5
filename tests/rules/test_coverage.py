"""Every claim of the mission document is answered, and its worked patients show it; planted errors are noticed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec
import pytest

from cds_service.cards.knowledge import load_deck
from cds_service.case_resources import PATIENT_ID, case_resources
from cds_service.cli.coverage import FILE, Claim, ClaimFile, Coverage, coverage_of, coverage_page
from cds_service.errors import RuleFileError
from cds_service.fhir.reader import payloads_from_resources, read_record
from cds_service.rule_engine.evaluate import evaluate
from cds_service.rule_engine.facts import gather_facts
from cds_service.rule_engine.loader import load_knowledge
from cds_service.rule_engine.model import Evaluation, Status
from cds_service.rule_engine.written import read_struct
from tests.rules.tables import RULES
from tests.worked_patients import BY_ID

AS_OF = datetime(2026, 11, 2, 12, tzinfo=UTC)
KNOWLEDGE = load_knowledge(RULES, AS_OF.date())
DECK = load_deck(RULES)
CLAIMS = read_struct(RULES / FILE, ClaimFile).claim
by_claim = pytest.mark.parametrize("claim", CLAIMS, ids=[claim.id for claim in CLAIMS])


@cache
def evaluation_of(case_id: str) -> Evaluation:
    resources = [msgspec.json.encode(r) for r in case_resources(BY_ID[case_id], KNOWLEDGE.tables, AS_OF)]
    payloads = payloads_from_resources(resources)
    record = read_record(payloads, PATIENT_ID, vocabulary=KNOWLEDGE.vocabulary, as_of=AS_OF)
    return evaluate(KNOWLEDGE.rules, gather_facts(record, KNOWLEDGE, AS_OF))


def test_all_112_claims_are_answered() -> None:
    coverage = coverage_of(RULES, KNOWLEDGE, DECK, BY_ID)
    assert coverage.faults == {}
    assert coverage.line.endswith("112 / 112")


@by_claim
def test_a_rule_of_the_claim_speaks_in_one_of_its_patients(claim: Claim) -> None:
    """A claim that names rules is shown by a patient for whom one of them fires."""
    fired = {a.rule.id for case in claim.cases for a in evaluation_of(case).fired}
    assert not claim.rules or fired & set(claim.rules)


@by_claim
def test_each_order_and_text_of_the_claim_is_shown(claim: Claim) -> None:
    """What a claim says is offered or said, is offered or said for one of its patients. One order is enough of many."""
    fired = [a for case in claim.cases for a in evaluation_of(case).fired]
    offered = {offer.order for a in fired for offer in a.offers}
    assert not claim.orders or offered & set(claim.orders)
    said = "\n".join(text for a in fired for text in (a.summary, a.opening, *a.advice))
    said += DECK.cards.words.examine if any(a.rule.group == "diagnostic" for a in fired) else ""
    assert [text for text in claim.texts if text not in said and text not in NEVER_ALONE] == []


# G12: shown only with EMG/NCS done and neurology involved, which silences the rule for most patients.
NEVER_ALONE = {"Nerve or muscle biopsy is a specialist decision after EMG/NCS and bloods."}


@by_claim
def test_each_finding_and_domain_of_the_claim_is_seen(claim: Claim) -> None:
    """The findings and risk domains that a claim names are seen in its patients: one of each is enough."""
    seen = [evaluation_of(case).facts for case in claim.cases]
    kinds = {finding.kind for facts in seen for finding in facts.findings}
    domains = {domain.name for facts in seen for domain in facts.risk_domains}
    assert not claim.findings or kinds & set(claim.findings)
    assert not claim.domains or domains & set(claim.domains)


def test_every_rule_is_named_by_a_claim() -> None:
    named = {rule for claim in CLAIMS for rule in claim.rules}
    assert {compiled.rule.id for compiled in KNOWLEDGE.rules.by_number} == named


def test_no_claim_rests_on_silence_alone() -> None:
    """Where nothing fires, only what a rule leaves out is shown; each claim has a patient for whom something does."""
    quiet = [c.id for c in CLAIMS if not any(evaluation_of(case).fired for case in c.cases)]
    assert quiet == []


# --- planted errors ---------------------------------------------------------------------------------------------------

PLANTED = [
    ('cases = ["R15-starvation"', 'cases = ["R15-not-there"', "no worked patient is called 'R15-not-there'"),
    ('rules = ["malnutrition"]\ndomains = ["nutrition"]', 'rules = ["hunger"]', "no rule is called 'hunger'"),
    ('id = "S3"', 'id = "S4"', "the claims are not S1 to S112"),
    ('orders = ["falls-assessment"]', 'orders = ["falls-scan"]', "no order is called 'falls-scan'"),
    ('texts = ["Cause shown by the record: disuse."]', 'texts = ["No card says this."]', "no card says"),
    ('domains = ["alcohol"]', 'domains = ["drink"]', "no risk domain is called 'drink'"),
    ('findings = ["muscle-wasting"]', 'findings = ["thinness"]', "no finding is called 'thinness'"),
]


@pytest.fixture
def planted(tmp_path: Path) -> Callable[[str, str], Path]:
    def plant(before: str, after: str) -> Path:
        folder = tmp_path / "rules"
        shutil.copytree(RULES, folder)
        text = (folder / FILE).read_text(encoding="utf-8")
        assert before in text
        (folder / FILE).write_text(text.replace(before, after, 1), encoding="utf-8")
        return folder

    return plant


def coverage_in(folder: Path) -> Coverage:
    return coverage_of(folder, KNOWLEDGE, DECK, BY_ID)


@pytest.mark.parametrize(("before", "after", "sentence"), PLANTED)
def test_a_planted_error_is_refused(
    planted: Callable[[str, str], Path], before: str, after: str, sentence: str
) -> None:
    """`atrophy-cds docs --check` stops at a claim that names what does not exist."""
    folder = planted(before, after)
    assert any(sentence in one for found in coverage_in(folder).faults.values() for one in found)
    with pytest.raises(RuleFileError, match=FILE):
        coverage_page(folder)


def test_a_claim_without_a_patient_is_refused(planted: Callable[[str, str], Path]) -> None:
    folder = planted('cases = ["R25-P1", "R25-P2"]', "cases = []")
    coverage = coverage_in(folder)
    assert coverage.faults == {"S111": ("no worked patient shows it",)}
    assert coverage.line.endswith("111 / 112")


def test_a_rule_that_names_a_claim_is_named_by_it(planted: Callable[[str, str], Path]) -> None:
    folder = planted('rules = ["falls"]', 'rules = ["malnutrition"]')
    assert any("falls names it" in one for found in coverage_in(folder).faults.values() for one in found)


def test_only_fired_rules_speak() -> None:
    """The proof above rests on answers that fired, not on rules that were silenced."""
    assert all(a.status is Status.FIRED for a in evaluation_of("R25-P1").fired)
