"""Why a card was shown: every fact that caused it can be named, and what is said to change the answer does."""

from __future__ import annotations

import functools
from datetime import UTC, date, datetime, time
from pathlib import Path

import msgspec
import pytest

from cds_service.cards.compose import CardContext, compose
from cds_service.cards.explaining import Explainer
from cds_service.cards.explanation import CardExplanation
from cds_service.cards.knowledge import load_deck
from cds_service.cards.memory import NO_MEMORY
from cds_service.cards.writer import ShownCard
from cds_service.cds_hooks.response import Card
from cds_service.fhir.reader import payloads_from_resources, read_record
from cds_service.fixture_patients import anchor_day, load_fixture_patients
from cds_service.rule_engine.evaluate import evaluate
from cds_service.rule_engine.facts import gather_facts
from cds_service.rule_engine.loader import load_knowledge
from cds_service.rule_engine.model import Evaluation, Status
from cds_service.rule_engine.supposing import Outcome, Supposing
from cds_service.rule_engine.trace import CardTrace
from cds_service.store.fingerprint import fingerprint

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "fixtures"
DAY = anchor_day(FIXTURES)
AS_OF = datetime.combine(DAY, time(12), UTC)
KNOWLEDGE = load_knowledge(ROOT / "rules", date.min)
RAPID = "rapidly-progressive-weakness"
DECK = load_deck(ROOT / "rules")
PATIENTS = {patient.id: patient for patient in load_fixture_patients(FIXTURES, DAY)}
WITH_CARDS = [name for name, patient in PATIENTS.items() if patient.expected_cards]


def seal(text: str) -> str:
    """The fingerprint of a store."""
    return fingerprint(b"a key of the tests", text)


EXPLAINER = Explainer(KNOWLEDGE, DECK, seal)


@functools.cache
def evaluated(name: str, without: str = "") -> Evaluation:
    """The answers for a synthetic patient, one of whose resources may be left out."""
    entries = PATIENTS[name].bundle["entry"]
    resources = [msgspec.json.encode(e["resource"]) for e in entries if e["resource"]["id"] != without]
    payloads = payloads_from_resources(resources)
    record = read_record(payloads, name, vocabulary=KNOWLEDGE.vocabulary, as_of=AS_OF)
    return evaluate(KNOWLEDGE.rules, gather_facts(record, KNOWLEDGE, AS_OF))


@functools.cache
def cards(name: str) -> tuple[tuple[Card, ShownCard], ...]:
    context = CardContext(name, rule_pack=KNOWLEDGE.pack_hash)
    composed = compose(evaluated(name), DECK, NO_MEMORY, context)
    return tuple(zip(composed.cards, composed.shown, strict=True))


def kept(shown: ShownCard) -> CardTrace:
    """The trace as it comes back from the store."""
    return msgspec.json.decode(msgspec.json.encode(shown.trace.keyed(seal)), type=CardTrace)


def explained(shown: ShownCard, brought: Evaluation | None) -> CardExplanation:
    return EXPLAINER.explain(shown.uuid, AS_OF.isoformat(), kept(shown), brought)


@pytest.mark.parametrize("name", WITH_CARDS)
def test_every_fact_of_the_assessment_is_named_as_a_cause_with_date_value_and_limit(name: str) -> None:
    """The machine-readable basis of the card (P-23) is the measure: nothing of it is missing, nothing is added."""
    for card, shown in cards(name):
        basis = (card.extension or {})["org.atrophy-cds.assessment"].get("basis", [])
        said = explained(shown, evaluated(name))
        parts = ("reference", "code", "date", "value", "threshold")
        named = {tuple(getattr(f, part) for part in parts) for f in said.facts if f.caused}
        assert named == {tuple(fact.get(part) for part in parts) for fact in basis}
        assert all(fact.dated and fact.text for fact in said.facts)
        assert not any(fact.new for fact in said.facts)
        assert (said.facts_gone, [rule.id for rule in said.rules if rule.differs]) == (0, [])


@pytest.mark.parametrize("name", WITH_CARDS)
def test_each_cause_stands_behind_a_question_that_was_answered_with_yes(name: str) -> None:
    for _, shown in cards(name):
        said = explained(shown, evaluated(name))
        behind = {
            number for rule in said.rules for one in rule.criteria if one.result == "true" for number in one.facts
        }
        assert {fact.number for fact in said.facts if fact.caused} <= behind
        assert [fact.number for fact in said.facts] == list(range(1, len(said.facts) + 1))


@pytest.mark.parametrize("name", WITH_CARDS)
def test_nothing_of_the_chart_is_in_the_trace(name: str) -> None:
    """P-33: neither a text, a code, a date, a value nor a reference of any resource of the patient."""
    for _, shown in cards(name):
        text = msgspec.json.encode(kept(shown)).decode()
        for assessment in evaluated(name).assessments:
            for fact in assessment.facts:
                for part in (
                    fact.reference,
                    fact.reference.split("/")[-1],
                    fact.label,
                    fact.code,
                    fact.date,
                    fact.value,
                ):
                    assert part is None or part not in text
        assert name not in text


@pytest.mark.parametrize("name", WITH_CARDS)
def test_without_the_chart_the_same_questions_and_answers(name: str) -> None:
    for _, shown in cards(name):
        alone, with_chart = explained(shown, None), explained(shown, evaluated(name))
        assert (alone.brought, alone.facts) == (False, ())
        for bare, full in zip(alone.rules, with_chart.rules, strict=True):
            assert (bare.ways, bare.silences, bare.changes) == (full.ways, full.silences, full.changes)
            assert [(c.name, c.result) for c in bare.criteria] == [(c.name, c.result) for c in full.criteria]
            assert [way.name for way in bare.ways if way.spoke and way.result == "true"] == [
                shown_branch(shown, bare.id)
            ]


def shown_branch(shown: ShownCard, rule_id: str) -> str | None:
    return next(rule.branch for rule in shown.trace.rules if rule.id == rule_id)


@pytest.mark.parametrize("name", WITH_CARDS)
def test_verdicts_alone_give_each_rule_its_answer(name: str) -> None:
    """What is said to change an answer is computed from verdicts: first they must give the answer itself."""
    for assessment in evaluated(name).fired:
        rule = assessment.rule
        compiled = next(c for c in KNOWLEDGE.rules.by_number if c.rule.id == rule.id)
        verdicts = evaluated(name).verdicts_of(rule.id)
        criteria = {**KNOWLEDGE.gate_criteria, **rule.criteria}
        supposing = Supposing(compiled, criteria, lambda name, verdicts=verdicts: verdicts[name].value)
        assert supposing.outcome() == Outcome(Status.FIRED, assessment.branch)


def test_what_rests_on_the_same_facts_goes_with_it() -> None:
    """Noor: one weakness of each leg is "new", "both sides" and "one sided" at once; without it none of them holds."""
    shown = next(shown for _, shown in cards("noor-critical-stands-alone") if shown.trace.rules[0].id == RAPID)
    rule = next(rule for rule in explained(shown, None).rules if rule.id == RAPID)
    turned = {(c.criterion, c.instead): (c.status, c.indicator) for c in rule.changes}
    assert turned["new deficit", "false"] == ("not-met", None)
    assert ("one sided", "false") not in turned or turned["one sided", "false"] == ("not-met", None)


def test_without_the_weakness_the_rule_would_not_fire_and_does_not() -> None:
    """Ada: exposure and weakness. The page says that each alone would turn the answer; the rules say so too."""
    ((_, shown),) = cards("ada-steroid-myopathy")
    (rule,) = explained(shown, None).rules
    turned = {(c.criterion, c.instead): (c.status, c.reason) for c in rule.changes}
    assert turned["weakness", "false"] == ("not-met", None)
    assert turned["exposure", "false"] == ("not-met", None)
    assert turned["hospice care", "true"] == ("suppressed", "hospice-care")
    assert turned["confirmed myositis", "true"] == ("fired", "flare-or-steroid")
    assert turned["neuromuscular disease on steroids", "true"] == ("fired", "disease-or-steroid")

    changed = evaluated("ada-steroid-myopathy", without="ada-condition-2")
    assert next(a for a in changed.assessments if a.rule.id == rule.id).status is Status.NOT_MET


def test_a_chart_that_has_changed_is_told_apart_from_that_of_the_card() -> None:
    ((_, shown),) = cards("ada-steroid-myopathy")
    said = explained(shown, evaluated("ada-steroid-myopathy", without="ada-condition-2"))
    (rule,) = said.rules
    assert (said.facts_gone, rule.differs) == (1, True)
    turned = {c.name: (c.result, c.now) for c in rule.criteria if c.now}
    assert turned["weakness"] == ("true", "false")
    assert set(turned.values()) == {("true", "false")}
    assert not any(fact.caused for fact in said.facts)


def test_other_rules_in_use_are_told() -> None:
    """T25: verdicts are those of the card, words those of the rules in use; nothing is supposed of a mixture."""
    ((_, shown),) = cards("ada-steroid-myopathy")
    trace = kept(shown)
    older = msgspec.structs.replace(
        trace.rules[0], version="0.9.0", not_held=(*trace.rules[0].not_held, "old_question")
    )
    said = EXPLAINER.explain(shown.uuid, "", CardTrace("f" * 64, "3", (older,)), None)
    assert (said.rule_pack, said.rule_pack_now) == ("f" * 64, KNOWLEDGE.pack_hash)
    (rule,) = said.rules
    assert (rule.version, rule.version_now, rule.changes) == ("0.9.0", "1.0.0", ())
    assert {one.result for one in (*rule.ways, *rule.silences)} == {None}
    assert [way.name for way in rule.ways if way.spoke] == [older.branch]
    assert said.summary is None, "the words of today are not what the card said"
    assert [(c.name, c.result, c.asks) for c in rule.criteria if c.asks is None] == [("old question", "false", None)]


@pytest.mark.parametrize("name", WITH_CARDS)
def test_the_rules_of_the_card_make_of_its_verdicts_what_it_said(name: str) -> None:
    for _, shown in cards(name):
        assert [rule.id for rule in explained(shown, None).rules if rule.other_words] == []


def test_shared_questions_that_were_written_otherwise_are_not_supposed() -> None:
    """T25: the rule's own version is the same; what it shares with others gives another answer to the old verdicts."""
    ((_, shown),) = cards("ada-steroid-myopathy")
    (rule,) = kept(shown).rules
    held = {name: marks for name, marks in rule.held.items() if name != "new_weakness"}
    then = msgspec.structs.replace(rule, held=held, not_held=(*rule.not_held, "new_weakness"))
    (said,) = EXPLAINER.explain(shown.uuid, "", CardTrace("f" * 64, "3", (then,)), None).rules
    assert (said.version_now, said.other_words, said.changes) == (None, True, ())
    assert {one.result for one in (*said.ways, *said.silences)} == {None}


def test_a_rule_that_is_no_more_is_named() -> None:
    ((_, shown),) = cards("ada-steroid-myopathy")
    trace = kept(shown)
    gone = CardTrace("f" * 64, "3", (msgspec.structs.replace(trace.rules[0], id="retired-rule"),))
    for brought in (None, evaluated("ada-steroid-myopathy")):
        (rule,) = EXPLAINER.explain(shown.uuid, "", gone, brought).rules
        assert (rule.id, rule.part, rule.version, rule.title) == ("retired-rule", "lead", "1.0.0", None)


def test_facts_that_differ_only_in_where_they_are_are_told_apart() -> None:
    ((_, shown), *_) = cards("noor-critical-stands-alone")
    said = explained(shown, evaluated("noor-critical-stands-alone"))
    weak = [fact for fact in said.facts if fact.text == "Muscle weakness of limb (finding)"]
    assert [fact.site for fact in weak] == ["left lower limb", "right lower limb"]


def test_evidence_has_its_link_and_whether_it_was_read() -> None:
    ((_, shown),) = cards("ada-steroid-myopathy")
    (rule,) = explained(shown, None).rules
    assert (rule.evidence[0].status, rule.evidence[0].url) == ("seen", "https://doi.org/10.1210/clinem/dgae250")
    assert [one.status for one in rule.evidence] == ["seen", "seen", "seen second-hand"]
