"""The command line: what it prints, what it refuses, its exit status."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from cds_service.fixture_patients import hook_request_for, load_fixture_patients

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "fixtures"
ANCHOR = date(2026, 11, 2)
ADA = FIXTURES / "patients" / "ada-steroid-myopathy.json"


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "cds_service", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "COLUMNS": "200", **environment},
        cwd=ROOT,
    )


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_without_open_the_service_does_not_start() -> None:
    """Nobody could call: status 2 and the reason, nothing listens (C68)."""
    result = run("serve")
    assert result.returncode == 2
    assert "No CDS Client may call" in result.stderr


def test_the_help_does_not_wait_for_the_service() -> None:
    """A command's work is imported when it runs: the names of the commands need no web, database or FHIR library."""
    program = "import sys, cds_service.cli.commands; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    known = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "click" in known.stdout.split()
    assert not {"alembic", "fhir", "flask", "requests", "sqlalchemy"} & set(known.stdout.split())


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])  # noqa: S104 - these addresses are refused
def test_open_listens_on_this_machine_only(host: str) -> None:
    """P-24: without authentication nobody else may reach it."""
    result = run("serve", "--open", "--host", host)
    assert result.returncode == 2
    assert "loopback" in result.stderr


def test_evaluate_says_card_rules_and_basis() -> None:
    """A patient Bundle: the card, every rule's status with its reason, the dated facts."""
    result = run("evaluate", ADA, "--as-of", "2026-11-02")
    assert result.returncode == 0
    for expected in (
        "[warning] Weakness during systemic steroid exposure",
        "steroid-myopathy",
        "not-met",
        "20.0 mg/day prednisone-eq",
        "patients",
    ):
        assert expected in result.stdout


def test_evaluate_for_machines() -> None:
    """One JSON object per patient with the whole answer, then the summary."""
    patient, summary = lines(run("evaluate", ADA, "--as-of", "2026-11-02", "--json").stdout)
    assert patient["cards"][0]["indicator"] == "warning"  # type: ignore[index]  # plain JSON
    assert summary["summary"]["rules"]["steroid-myopathy fired"] == 1  # type: ignore[index]  # plain JSON


@pytest.mark.parametrize(
    ("as_of", "fires"),
    [("2026-11-02", True), ("2026-11-02T12:00:00+01:00", True), ("newest", True), ("2020-01-01", False)],
)
def test_evaluate_at_a_moment(as_of: str, fires: bool) -> None:
    """A DATE is that day's end, a DATETIME is exact, newest is the patient's own newest date."""
    patient, _ = lines(run("evaluate", ADA, "--as-of", as_of, "--json").stdout)
    assert fires is bool(patient["cards"])


def test_a_moment_that_is_none_is_refused() -> None:
    """A wrong --as-of is one line and status 2."""
    result = run("evaluate", ADA, "--as-of", "yesterday")
    assert (result.returncode, "--as-of takes" in result.stderr) == (2, True)


def test_newest_is_the_day_of_an_old_chart_and_not_today(tmp_path: Path) -> None:
    """A chart that ended years ago is judged on its own newest day."""
    path = tmp_path / "old.json"
    patient = {"resourceType": "Patient", "id": "old", "birthDate": "1950-01-01"}
    seen = {
        "resourceType": "Condition",
        "id": "c",
        "subject": {"reference": "Patient/old"},
        "recordedDate": "2009-05-04",
    }
    entries = [{"resource": patient}, {"resource": seen}]
    path.write_text(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}))
    assert "as of 2009-05-04T23:59:59" in run("evaluate", path, "--as-of", "newest").stdout


def test_evaluate_takes_gzipped_ndjson_and_names_what_has_no_patient(tmp_path: Path) -> None:
    """Loose resources are grouped by patient; one without a patient is named."""
    entries = json.loads(ADA.read_text())["entry"]
    stray = {"resourceType": "Condition", "id": "stray", "code": {"text": "weakness"}}
    path = tmp_path / "chart.ndjson.gz"
    with gzip.open(path, "wt") as file:
        for resource in (*(entry["resource"] for entry in entries), stray):
            file.write(json.dumps(resource) + "\n")
    *patients, summary = lines(run("evaluate", path, "--as-of", "2026-11-02", "--json").stdout)
    assert [p["patient"] for p in patients if p["patient"]] == ["ada-steroid-myopathy"]
    assert any("Condition/stray" in json.dumps(p.get("setAside")) for p in patients)
    assert summary["summary"]["patients"] == 1  # type: ignore[index]  # plain JSON


def test_evaluate_takes_a_whole_hook_request(tmp_path: Path) -> None:
    """What a CDS Client sent can be asked again."""
    patient = next(p for p in load_fixture_patients(FIXTURES, ANCHOR) if p.id == "ada-steroid-myopathy")
    path = tmp_path / "request.json"
    path.write_text(json.dumps(hook_request_for(patient)))
    answer, _ = lines(run("evaluate", path, "--as-of", "2026-11-02", "--json").stdout)
    assert answer["cards"]


def test_check_rules_runs_every_worked_patient() -> None:
    """All cases come out as written."""
    result = run("check-rules")
    assert result.returncode == 0
    assert "0 differences" in result.stdout


def test_a_broken_rule_stops_check_and_start(tmp_path: Path) -> None:
    """File and line, from both commands."""
    rules = Path(shutil.copytree(ROOT / "rules", tmp_path / "rules"))
    path = rules / "steroid-myopathy" / "rule.toml"
    text = path.read_text()
    path.write_text(text.replace('when = "exposure and weakness"', 'when = "exposure and weaknes"', 1))
    line = text.splitlines().index('when = "exposure and weakness"') + 1
    checked = run("check-rules", "--rules", rules)
    assert checked.returncode == 1
    started = run("serve", "--open", "--port", "0", ATROPHY_CDS_RULES=str(rules))
    assert started.returncode == 2
    for output in (checked.stdout, started.stderr):
        assert f"steroid-myopathy/rule.toml:{line}: " in output.replace("\n", "")


def test_a_case_that_comes_out_otherwise_is_named(tmp_path: Path) -> None:
    """check-rules can fail: a changed expectation is a difference."""
    rules = Path(shutil.copytree(ROOT / "rules", tmp_path / "rules"))
    path = rules / "steroid-myopathy" / "cases.toml"
    path.write_text(path.read_text().replace('steroid-myopathy = "warning"', 'steroid-myopathy = "info"', 1))
    result = run("check-rules", "--rules", rules)
    assert (result.returncode, "R11-P1: steroid-myopathy: info expected, warning came" in result.stdout) == (1, True)


def test_switch_says_what_it_did_and_refuses_what_does_not_exist(tmp_path: Path) -> None:
    """B-52: a mistyped name would switch nothing off while everybody believes it did."""
    database = {"ATROPHY_CDS_DATABASE_URL": f"sqlite:///{tmp_path}/cds.db"}
    off = run("switch", "off", "rule", "falls", "--reason", "it misfires", **database)
    assert (off.returncode, off.stdout) == (
        0,
        "rule falls for every client is off. It acts within 5 seconds in all workers.\n",
    )
    assert run("switch", "off", "rule", "falls", "--reason", "it misfires", **database).returncode == 1
    listed = run("switch", "list", **database).stdout
    assert "falls" in listed
    assert "it misfires" in listed
    for arguments, words in (
        (("rule", "fals"), "no rule 'fals'"),
        (("rule", "falls", "--client", "nobody"), "no client 'nobody'"),
        (("client", "nobody"), "no client 'nobody'"),
    ):
        refused = run("switch", "off", *arguments, "--reason", "x", **database)
        assert refused.returncode == 2
        assert words in refused.stderr
    assert run("switch", "off", "rule", "malnutrition", "--reason", " ", **database).returncode == 2
    assert run("switch", "on", "rule", "falls", "--reason", "repaired", **database).returncode == 0
    assert run("switch", "list", **database).stdout == "Nothing is switched off.\n"
    assert "repaired" in run("switch", "list", "--all", **database).stdout


def test_a_rule_is_switched_off_while_the_rules_cannot_be_loaded(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    (tmp_path / "rules" / "findings.toml").write_text("no TOML")
    environment = {
        "ATROPHY_CDS_DATABASE_URL": f"sqlite:///{tmp_path}/cds.db",
        "ATROPHY_CDS_RULES": str(tmp_path / "rules"),
    }
    assert run("switch", "off", "rule", "falls", "--reason", "it misfires", **environment).returncode == 0


def test_check_rules_reads_the_bands(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    path = tmp_path / "rules" / "bands.toml"
    path.write_text(path.read_text().replace("times_median = 3", "times_median = 0"))
    result = run("check-rules", "--rules", tmp_path / "rules")
    assert result.returncode == 1
    assert "bands.toml:" in result.stdout
