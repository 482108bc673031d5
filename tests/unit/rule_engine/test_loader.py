"""A folder of rules with anything odd in it stops the start, naming file and line."""

from __future__ import annotations

import re
import shutil
from datetime import date
from pathlib import Path

import pytest

from cds_service.errors import RuleFileError
from cds_service.rule_engine.loader import load_knowledge

RULES = Path(__file__).parents[3] / "rules"
TODAY = date(2026, 11, 27)
R11 = "steroid-myopathy/rule.toml"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RULES, tmp_path / "rules"))


def test_the_rules_as_they_are_load() -> None:
    """All of them, in the order of their numbers, each with its compiled criteria."""
    knowledge = load_knowledge(RULES, TODAY)
    numbers = [c.rule.number for c in knowledge.rules.by_number]
    assert numbers == sorted(numbers)
    assert len(numbers) == len(list(RULES.glob("*/rule.toml")))


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        (R11, 'group = "diagnostic"', 'group = "diagnostic"\ncolour = "red"', "colour"),
        (R11, "since_steroid_start = true", "since_steroid_begin = true", "since_steroid_begin"),
        (R11, 'condition = ["sensory"]', 'condition = ["sensorial"]', "no value set is called 'sensorial'"),
        (R11, '"stairs-difficulty",', '"stairs-dificulty",', "no finding 'stairs-dificulty'"),
        (R11, 'when = "exposure and weakness"', 'when = "exposure and weaknes"', "no criterion is called 'weaknes'"),
        (R11, 'when = "exposure and weakness"', 'when = "exposure and"', "cannot read the expression"),
        (R11, 'when = "confirmed_myositis"', 'when = "late_effects_polio"', "'late_effects_polio' asks about a rule"),
        (R11, 'when = "confirmed_myositis"', 'when = "cause_recorded"', "'late_effects_polio' asks about a rule"),
        (R11, 'order = "potassium"', 'order = "potasium"', "no order 'potasium'"),
        (R11, 'indicator = "warning"', 'indicator = "urgent"', "Invalid enum value"),
        (R11, 'id = "steroid-myopathy"', 'id = "steroid-myopathie"', "the id must be the folder's name"),
        (R11, 'number = "R11"', 'number = "R12"', "number 'R12' is also that of"),
        (R11, "uses_race = false\n", "", "uses_race"),
        (R11, "[criteria.numbness]", "[criteria.numbness", "not TOML"),
        (R11, 'version = "1.0.0"\ngroup', 'version = "1.1.0"\ngroup', "must say what version 1.1.0 changed"),
        (
            R11,
            "steroid_level_at_least = 2\n",
            'steroid_level_at_least = 2\nfinding = ["weakness"]\n',
            "exactly one thing",
        ),
        ("value_sets/weakness.csv", "system,code", "system,kode", "the header must be"),
        ("value_sets.toml", "[weakness]", "[weaknes]", "describe 'weakness'"),
        ("findings.toml", 'set = "sarcopenia"', 'set = "sarcopeny"', "no value set is called 'sarcopeny'"),
        ("risk_domains.toml", '"joint-disease"', '"joint-diseases"', "no value set is called 'joint-diseases'"),
        ("units.toml", "divide_by = 3.097", "divided_by = 3.097", "units.toml"),
        ("units.toml", "[by_set.phosphate", "[by_set.phosphat", "no value set is called 'phosphat'"),
        ("weight.toml", 'bmi_set = "bmi"', 'bmi_set = "bmy"', "no value set is called 'bmy'"),
        ("habits.toml", 'total_set = "audit-c"', 'total_set = "audit"', "no value set is called 'audit'"),
        ("care_plan_words.csv", "weight-programme,weight", "weight-programme,Weight", "one lower-case word"),
        ("risk_domains.toml", '"domain_alcohol_score"', '"domain_score"', "no criterion is called 'domain_score'"),
        ("gates.toml", "[criteria.palliative_care]", "[criteria.palliativ_care]", "palliative_care"),
        ("contradictions.toml", '"alcohol-dependence"', '"alcohol-dependance"', "no value set is called"),
        ("contradictions.toml", '"sarcopenia-frailty"', '"sarcopenia"', "no rule is called 'sarcopenia'"),
        (
            "contradictions.toml",
            'when = "immobile and walks"',
            'when = "immobile and walk"',
            "no criterion is called 'walk'",
        ),
        ("contradictions.toml", 'when = "immobile and walks"', 'when = "immobile"', "criterion 'walks' is never used"),
        ("steroids.toml", "{bursts} shorter", "{burst} shorter", "names of the level's own numbers"),
        ("steroids.toml", "reference_mg = 5", 'reference_mg = "five"', "Expected"),
    ],
)
def test_an_oddity_is_refused_with_file_and_line(rules: Path, file: str, old: str, new: str, problem: str) -> None:
    """The message starts with file and line and says what is wrong; the line is where it stands."""
    path = rules / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(RuleFileError) as refused:
        load_knowledge(rules, TODAY)
    message = str(refused.value)
    assert re.match(r".*\.(toml|csv):\d+: ", message)
    assert problem in message


def test_the_line_is_the_right_one(rules: Path) -> None:
    """The line of an unknown key is the line on which it stands."""
    path = rules / R11
    lines = path.read_text().splitlines()
    at = lines.index("[criteria.confirmed_myositis]") + 2
    lines.insert(at, 'colour = "red"')
    path.write_text("\n".join(lines))
    with pytest.raises(RuleFileError) as refused:
        load_knowledge(rules, TODAY)
    assert at + 1 == refused.value.line


def test_an_unverified_code_is_refused(rules: Path) -> None:
    """A row without verified_by never becomes a code that decides."""
    path = rules / "value_sets" / "weakness.csv"
    with path.open("a") as file:
        file.write("http://snomed.info/sct,26544006,Invented,exact,,\n")
    with pytest.raises(RuleFileError, match="unverified"):
        load_knowledge(rules, TODAY)


def test_an_empty_value_set_is_refused(rules: Path) -> None:
    """Engines that answer 0 for an empty set say "no" when they should say "cannot judge"."""
    path = rules / "value_sets" / "weakness.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(RuleFileError, match="without codes"):
        load_knowledge(rules, TODAY)


def test_an_unused_criterion_is_refused(rules: Path) -> None:
    """A criterion that nothing asks about is a mistake somewhere else."""
    path = rules / R11
    path.write_text(path.read_text() + '\n[criteria.idle]\nsays = "nothing"\nage_at_least = 3\n')
    with pytest.raises(RuleFileError, match="'idle' is never used"):
        load_knowledge(rules, TODAY)


def test_rules_that_ask_about_each_other_are_refused(rules: Path) -> None:
    """Two rules cannot each wait for the other's answer."""
    path = rules / R11
    extra = '\n[criteria.ring]\nsays = "ring"\nrule_fired = ["unexplained-weakness-wasting"]\n'
    text = path.read_text().replace('when = "exposure and weakness"', 'when = "exposure and weakness and not ring"')
    path.write_text(text + extra)
    with pytest.raises(RuleFileError, match="ring"):
        load_knowledge(rules, TODAY)


def test_an_expired_rule_is_named() -> None:
    """A rule whose review date has passed warns at start."""
    assert "steroid-myopathy" in load_knowledge(RULES, date(2030, 1, 1)).expired


def test_the_pack_hash_changes_with_any_file(rules: Path) -> None:
    """The hash in every answer tells which knowledge made it (T25)."""
    before = load_knowledge(rules, TODAY).pack_hash
    with (rules / "tiers.toml").open("a") as file:
        file.write("# a word\n")
    assert before != load_knowledge(rules, TODAY).pack_hash


def test_a_value_set_that_nobody_asks_about_is_refused(rules: Path) -> None:
    """An unused set is a rule that was forgotten, or a name that was mistyped."""
    with (rules / "value_sets.toml").open("a") as file:
        file.write('\n[zebra]\ntitle = "Zebra"\nresource = "condition"\n')
    shutil.copy(rules / "value_sets" / "weakness.csv", rules / "value_sets" / "zebra.csv")
    with pytest.raises(RuleFileError, match="no rule asks about value set 'zebra'"):
        load_knowledge(rules, TODAY)
