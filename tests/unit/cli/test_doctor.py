"""``doctor``: each check passes on a good server and says what to do on one that lacks something."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cds_service.cli.commands import main
from cds_service.cli.doctor import examine
from cds_service.errors import SettingsError
from tests.doctor_server import a_page, condition, good_server, report, statement
from tests.fhir_server import Fault, FhirServer, outcome


@pytest.fixture
def server() -> Iterator[FhirServer]:
    with good_server() as running:
        yield running


def test_a_good_server_passes(server: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.faults["metadata"].headers = {}
    assert examine(server.base, None, "canary-id", as_json=True) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert {f["verdict"] for f in findings} == {"pass", "skipped"}
    assert {f["check"] for f in findings if f["verdict"] == "skipped"} == {"clock", "paging", "Medication"}
    assert all(f["milliseconds"] >= 0 for f in findings if f["check"].startswith("search "))
    assert all(f["advice"] for f in findings if f["verdict"] != "pass")


def test_without_a_patient_the_first_is_taken(server: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(server, capsys, patient=None)["search Condition"]["found"] == "1 on the first page"
    assert [seen.target for seen in server.asked("Patient")] == ["/fhir/Patient?_count=1", "/fhir/Patient/canary-id"]


@pytest.mark.parametrize(
    ("fault", "verdict", "status"),
    [
        (Fault(status=400), "warn", 0),  # Epic wants a name
        (Fault(status=403), "warn", 0),
        (Fault(body=b'{"resourceType": "Bundle"}'), "warn", 0),
        (Fault(status=401), "fail", 1),
    ],
    ids=["400", "403", "nobody", "401"],
)
def test_without_anybody_what_was_not_checked_is_said(
    server: FhirServer, capsys: pytest.CaptureFixture[str], fault: Fault, verdict: str, status: int
) -> None:
    server.faults["metadata"].headers = {}
    server.faults["Patient"] = fault
    assert examine(server.base, None, None, as_json=True) == status
    findings = {f["check"]: f for f in json.loads(capsys.readouterr().out)["findings"]}
    assert findings["Patient"]["verdict"] == verdict
    assert [name for name, f in findings.items() if "--patient" in f["advice"] and f["verdict"] == "skipped"] == [
        "searches",
        "paging",
        "Medication",
        "codes",
    ]


@pytest.mark.parametrize(
    ("fault", "check", "verdict", "word"),
    [
        ({"metadata": Fault(status=404)}, "reachable", "fail", "FHIR base"),
        ({"metadata": Fault(body=b"<html>")}, "reachable", "fail", "login page"),
        ({"metadata": Fault(body=b"{}")}, "reachable", "warn", "every search is tried"),
        ({"metadata": statement("3.0.2")}, "FHIR version", "fail", "4.0.1"),
        ({"metadata": statement(CarePlan=None)}, "types", "warn", "accepted_gaps"),
        ({"metadata": statement(Condition=None)}, "types", "fail", "required"),
        ({"metadata": statement(Procedure=["patient"])}, "parameters", "warn", "by patient alone"),
        ({}, "clock", "fail", "clocks"),
        ({"Patient": Fault(status=401)}, "Patient", "fail", "scope"),
        ({"Condition": Fault(status=403)}, "search Condition", "fail", "scope lacks"),
        ({"CarePlan": Fault(status=404)}, "search CarePlan", "warn", "accepted gap"),
        ({"Condition": Fault(status=404)}, "search Condition", "fail", "accepted gap"),
        ({"Observation": Fault(status=500)}, "search Observation", "fail", "log"),
        ({"Condition": Fault(body=json.dumps(outcome("exception")).encode())}, "search Condition", "fail", "log"),
        ({"Condition": Fault(entry={"resource": outcome("suppressed")})}, "search Condition", "warn", "held back"),
        ({"Condition": Fault(body=b"{}")}, "search Condition", "fail", "another type"),
        (
            {"Condition": Fault(body=a_page({"subject": {"reference": "Patient/x"}}))},
            "search Condition",
            "fail",
            "other",
        ),
        ({"Patient": Fault(body=b"{}")}, "Patient", "fail", "another type"),
        ({"Patient": Fault(body=b'{"resourceType": "Patient", "id": "x"}')}, "Patient", "fail", "answer for the id"),
        ({"metadata": statement(CarePlan=None)}, "search CarePlan", "warn", "what is not listed is not asked"),
        ({"metadata": Fault(status=401)}, "reachable", "fail", "token"),
        ({"metadata": Fault(status=500)}, "all else", "skipped", "mend"),
        ({"POST": Fault(status=401)}, "search by POST", "warn", "post_search"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said_with_what_to_do(
    server: FhirServer, capsys: pytest.CaptureFixture[str], fault: dict[str, Fault], check: str, verdict: str, word: str
) -> None:
    server.faults.update(fault)
    finding = report(server, capsys)[check]
    assert finding["verdict"] == verdict
    assert word in finding["advice"]


def test_a_refused_parameter_is_a_warning(server: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.lacks = frozenset({"date"})
    finding = report(server, capsys)["search Procedure"]
    assert (finding["verdict"], finding["advice"]) == ("warn", "a parameter was refused (400)")


def test_every_search_of_a_source_is_tried(server: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Observations are searched twice: what counts whenever measured has no date."""
    report(server, capsys)
    assert ["date" in seen.query for seen in server.asked("Observation")] == [True, False]


@pytest.mark.parametrize(("status", "said"), [(200, "taken"), (405, "not taken (method-refused)")])
def test_whether_a_search_may_be_posted(
    server: FhirServer, capsys: pytest.CaptureFixture[str], status: int, said: str
) -> None:
    server.faults["POST"] = Fault(status=status)
    finding = report(server, capsys)["search by POST"]
    assert finding["verdict"] == "pass"
    assert finding["found"].startswith(said)


def test_paging_is_tried(server: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(2, 80):
        server.put(condition(number=number))
    finding = report(server, capsys)["paging"]
    assert (finding["verdict"], finding["found"]) == ("warn", "50 entries to a page whatever is asked")
    for fault in (Fault(status=410), Fault(link="self"), Fault(body=b"{}")):
        server.faults["next"] = fault
        assert report(server, capsys)["paging"]["verdict"] == "fail"


def test_large_pages_pass(server: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.page_size = 250
    for number in range(2, 300):
        server.put(condition(number=number))
    assert report(server, capsys)["paging"]["verdict"] == "pass"


def test_the_report_holds_nothing_of_the_patient(server: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    """T10: counts and code systems only; and the sheet for the EHR's analyst is part of it."""
    examine(server.base, None, "canary-id", as_json=False)
    examine(server.base, None, "canary-id", as_json=True)
    out, err = capsys.readouterr()
    assert "canary" not in out + err
    assert "conditions\tCondition?patient={{context.patientId}}&_count=1000" in out


def test_p03_what_is_not_offered_is_left_out_of_the_sheet(
    server: FhirServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults["metadata"] = statement(CarePlan=None)
    server.faults["MedicationStatement"] = Fault(status=404)
    examine(server.base, None, "canary-id", as_json=False)
    sheet = capsys.readouterr().out.partition("Prefetch sheet")[2]
    assert "carePlans\t" not in sheet
    assert "conditions\t" in sheet
    assert "does not offer it: carePlans, medicationStatements\n" in sheet
    examine(server.base, None, "canary-id", as_json=True)
    assert json.loads(capsys.readouterr().out)["notOffered"] == ["carePlans", "medicationStatements"]


def test_t33_what_a_server_writes_does_nothing_to_the_terminal(
    server: FhirServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults["metadata"] = statement("4.0.\x1b[2J")
    server.put(condition("http://x/\x1b]0;canary\x07", 2))
    examine(server.base, None, "canary-id", as_json=False)
    out, err = capsys.readouterr()
    assert not {"\x1b", "\x07"} & set(out + err)
    assert "not a plain word" in out


def test_it_shows_how_far_it_is_on_standard_error(
    server: FhirServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    examine(server.base, None, "canary-id", as_json=True)
    out, err = capsys.readouterr()
    json.loads(out)  # one document and nothing else
    assert "Examining" in err


def test_the_token_comes_from_a_file(server: FhirServer, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """T38."""
    (tmp_path / "token").write_text("secret\n")
    examine(server.base, tmp_path / "token", None, as_json=True)
    assert {seen.headers.get("Authorization") for seen in server.seen} == {"Bearer secret"}
    assert "secret" not in capsys.readouterr().out


@pytest.mark.parametrize("written", [b"", b"canary one\ncanary two", b"\xff", "canary-\u00e9".encode()])
def test_a_file_that_holds_no_token_is_not_used(server: FhirServer, tmp_path: Path, written: bytes) -> None:
    (tmp_path / "token").write_bytes(written)
    with pytest.raises(SettingsError, match="one access token") as caught:
        examine(server.base, tmp_path / "token", "canary-id", as_json=True)
    assert "canary" not in str(caught.value)
    assert server.seen == []


@pytest.mark.parametrize("patient", ["", "..", "p1?_count=9999", "p1/../x", "p1&x=1", "p\n1"])
def test_t8_a_patient_that_is_no_fhir_id_is_not_sent(server: FhirServer, patient: str) -> None:
    with pytest.raises(SettingsError, match="--patient"):
        examine(server.base, None, patient, as_json=True)
    assert server.seen == []


def test_the_exit_status(server: FhirServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """0 when all passed or warned, 1 when something failed, 2 when it could not begin."""
    server.faults["metadata"] = statement(CarePlan=None)
    server.faults["metadata"].headers = {}
    assert exit_status(monkeypatch, server.base, "--patient", "canary-id") == 0
    server.faults["Condition"] = Fault(status=403)
    assert exit_status(monkeypatch, server.base, "--patient", "canary-id") == 1
    for wrong in (["ftp://x"], [server.base, "--patient", ".."], [server.base, "--token", "canary"], []):
        assert exit_status(monkeypatch, *wrong) == 2


def exit_status(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["atrophy-cds", "doctor", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    "base", ["http://fhir.example/r4", "file:///etc", "http://169.254.169.254/", "http://localhost/fhir?x=1"]
)
def test_t1_a_server_that_must_not_be_contacted(base: str) -> None:
    with pytest.raises(SettingsError, match="not contacted"):
        examine(base, None, None, as_json=True)
