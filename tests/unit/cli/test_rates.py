"""B-55: how many living adults get a card, of the files as they are and with triggers laid over them."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from cds_service.cli.rates import OVERLAID, PLAIN, rates
from cds_service.errors import RuleFileError, SettingsError
from cds_service.overlay import Overlay, Trigger, load_overlay
from cds_service.rule_engine.code_tables import CodeTables
from cds_service.rule_engine.loader import load_knowledge

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "fixtures"
PUBLISHED = FIXTURES / "overlay.toml"
TABLES: CodeTables = load_knowledge(ROOT / "rules", date(2026, 11, 27)).tables
AS_OF = "2026-11-02"
WEAKNESS = """
version = "1.0.0"
[[trigger]]
name = "weakness"
value_set = "weakness"
code = "R53.1"
resource = "Condition"
share = [{{ from = 18, share = {share} }}]
recorded = {recorded}
days_ago = [40, 60]
source = "none: made for a test"
status = "unconfirmed"
"""


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Forty invented people with nothing but a birth date; one is a child, one is dead, one has no birth date."""
    adults = [{"birthDate": f"{1930 + i}-01-01", "gender": ("female", "male")[i % 2]} for i in range(37)]
    others = [{"birthDate": "2020-01-01"}, {"birthDate": "1950-01-01", "deceasedBoolean": True}, {}]
    lines = [
        json.dumps({"resourceType": "Patient", "id": f"p{i}"} | person) for i, person in enumerate([*adults, *others])
    ]
    path = tmp_path / "people.ndjson"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def weakness(tmp_path: Path, share: float, recorded: float = 1) -> Path:
    path = tmp_path / "overlay.toml"
    path.write_text(WEAKNESS.format(share=share, recorded=recorded), encoding="utf-8")
    return path


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def summary(capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, dict], dict[str, int]]:
    last = printed(capsys)[-1]["summary"]
    return {population["name"]: population for population in last["populations"]}, last["notCounted"]


def people_with(population: dict, row: str, column: str = "all") -> int:
    return population["rates"].get(row, {column: {"people": 0}})[column]["people"]


def test_without_an_overlay_only_the_files_are_measured(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Living adults are the denominator; who is left out is said with the reason."""
    assert rates((people,), AS_OF, None, 1, as_json=True) == 0
    populations, not_counted = summary(capsys)
    assert list(populations) == [PLAIN]
    assert populations[PLAIN]["people"]["all"] == 37
    assert populations[PLAIN]["people"]["female"] == 19
    assert people_with(populations[PLAIN], "any card") == 0
    assert not_counted == {"younger than 18": 1, "deceased": 1, "age unknown": 1}


def test_every_adult_stands_in_one_age_band(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Born 1 January 1930 to 1966, on 2 November 2026: 96 to 60 years old."""
    rates((people,), AS_OF, None, 1, as_json=True)
    counted = summary(capsys)[0][PLAIN]["people"]
    assert {band: counted[band] for band in ("18-49", "50-64", "65-79", "80+")} == {
        "18-49": 0, "50-64": 5, "65-79": 15, "80+": 17,
    }  # fmt: skip


def test_a_trigger_with_frequency_one_reaches_everybody(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R05: weakness without a known cause is a card for each adult, and the plain rate stays as it was."""
    rates((people,), AS_OF, weakness(tmp_path, share=1), 1, as_json=True)
    populations, _ = summary(capsys)
    assert people_with(populations[PLAIN], "any card") == 0
    assert people_with(populations[OVERLAID], "any card") == 37
    assert people_with(populations[OVERLAID], "unexplained-weakness-wasting", "80+") == 17


@pytest.mark.parametrize(("share", "recorded"), [(0, 1), (1, 0)])
def test_what_nobody_has_or_nobody_records_changes_nothing(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], share: float, recorded: float
) -> None:
    rates((people,), AS_OF, weakness(tmp_path, share, recorded), 1, as_json=True)
    populations, _ = summary(capsys)
    assert populations[OVERLAID]["rates"] == populations[PLAIN]["rates"]


def test_the_same_seed_gives_the_same_rates(people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """About half of 37 people: another seed draws other people."""
    half = weakness(tmp_path, share=0.5)
    drawn = []
    for seed in (1, 1, 2):
        rates((people,), AS_OF, half, seed, as_json=True)
        drawn.append(printed(capsys))
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]
    assert 0 < people_with(drawn[0][-1]["summary"]["populations"][1], "any card") < 37


def test_who_else_is_in_the_files_does_not_matter(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Drawn by the patient's id: the same people have a card when half of the others are left out."""
    half = weakness(tmp_path, share=0.5)
    rates((people,), AS_OF, half, 1, as_json=True)
    all_of_them = {line["patient"] for line in printed(capsys)[:-1]}
    fewer = tmp_path / "fewer.ndjson"
    fewer.write_text("\n".join(people.read_text(encoding="utf-8").splitlines()[:18]), encoding="utf-8")
    rates((fewer,), AS_OF, half, 1, as_json=True)
    assert {line["patient"] for line in printed(capsys)[:-1]} == all_of_them & {f"p{i}" for i in range(18)}


def test_newest_is_the_newest_day_of_the_chart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A chart that ended in 2015 is judged in 2015: the patient was 40 then."""
    patient = {"resourceType": "Patient", "id": "p", "birthDate": "1975-01-01"}
    visit = {
        "resourceType": "Encounter", "id": "e", "status": "finished", "class": {"code": "AMB"},
        "subject": {"reference": "Patient/p"}, "period": {"start": "2015-06-01"},
    }  # fmt: skip
    path = tmp_path / "chart.ndjson"
    path.write_text(f"{json.dumps(patient)}\n{json.dumps(visit)}", encoding="utf-8")
    rates((path,), "newest", None, 1, as_json=True)
    assert summary(capsys)[0][PLAIN]["people"]["18-49"] == 1


def test_the_tables_say_the_denominators_and_the_aims(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    rates((people,), AS_OF, weakness(tmp_path, share=1), 1, as_json=False)
    text = capsys.readouterr().out
    for expected in ("37 people", "any card (aim 5 %)", "critical card (aim 0.5 %)", "37 (100.0 %)", "1 deceased"):
        assert expected in text


def test_files_without_an_adult_are_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "child.ndjson"
    path.write_text('{"resourceType": "Patient", "id": "p", "birthDate": "2020-01-01"}', encoding="utf-8")
    assert rates((path,), AS_OF, None, 1, as_json=True) == 1


def test_a_hook_request_takes_no_overlay(tmp_path: Path) -> None:
    patient = {"resourceType": "Patient", "id": "p", "birthDate": "1950-01-01"}
    request = {
        "hook": "patient-view", "hookInstance": "9f9d2b4e-6a3c-4c5b-8d43-1a1b2c3d4e5f",
        "context": {"userId": "Practitioner/x", "patientId": "p"}, "prefetch": {"patient": patient},
    }  # fmt: skip
    path = tmp_path / "request.json"
    path.write_text(json.dumps(request), encoding="utf-8")
    with pytest.raises(SettingsError, match="not hook requests"):
        rates((path,), AS_OF, weakness(tmp_path, share=1), 1, as_json=True)


def test_every_published_frequency_has_its_source_and_its_status() -> None:
    """B-55: weakness, wasting, gait and sensory codes, falls, physiotherapy and diet plans."""
    overlay = load_overlay(PUBLISHED, TABLES)
    assert {trigger.value_set for trigger in overlay.trigger} == {
        "weakness", "muscle-wasting", "functional-loss", "sensory", "fall-event", "falls-past-year",
        "referral-physiotherapy", "referral-dietitian",
    }  # fmt: skip
    assert all(trigger.source for trigger in overlay.trigger)
    assert all(trigger.assumed for trigger in overlay.trigger if trigger.status != "seen")


def test_a_frequency_belongs_to_an_age() -> None:
    """Mahlknecht 2013: nobody is given a gait disorder below 60; 32.2 % from 60 and 61.7 % from 80."""
    gait = named(load_overlay(PUBLISHED, TABLES), "gait")
    assert [gait.frequency(age) for age in (59, 60, 79, 80)] == [0.0, 0.322, 0.322, 0.617]


def test_what_is_not_recorded_is_not_in_the_chart() -> None:
    """PMC2664994: 48 % of those who fell told a clinician."""
    assert named(load_overlay(PUBLISHED, TABLES), "single-fall").frequency(70) == pytest.approx(0.15 * 0.48)


@pytest.mark.parametrize(
    ("written", "instead", "problem"),
    [
        ('code = "R53.1"', 'code = "W19"', "W19 is not in value set 'weakness'"),
        ('value_set = "weakness"', 'value_set = "tiredness"', "no value set is called 'tiredness'"),
        ('code = "R53.1"\n', "", "a Condition says its code"),
        ("days_ago = [40, 60]", "days_ago = [60, 40]", "days_ago rise"),
        ("days_ago = [40, 60]", "days_ago = [40, 60]\nvalue = 1", "an Observation says its value"),
        ("share = 1 }", "share = 1.5 }", "<= 1.0"),
        ('source = "none: made for a test"\n', "", "missing required field `source`"),
    ],
)
def test_a_trigger_that_cannot_be_drawn_is_refused(tmp_path: Path, written: str, instead: str, problem: str) -> None:
    path = weakness(tmp_path, share=1)
    path.write_text(path.read_text(encoding="utf-8").replace(written, instead), encoding="utf-8")
    with pytest.raises(RuleFileError, match=problem):
        load_overlay(path, TABLES)


def named(overlay: Overlay, name: str) -> Trigger:
    return next(trigger for trigger in overlay.trigger if trigger.name == name)
