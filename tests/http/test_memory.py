"""The same request again: what is shown after each answer, and after new evidence (A-16, B-25, B-51, B-66, B-80).

The tables are written from the rulings. Each row is run over HTTP, with the real rules, a real store and worked
patients of `rules/` whose charts do not change: only the clock and what the user did with the card.
"""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest
from flask.testing import FlaskClient

from cds_service.app import STORE, create_app
from cds_service.cards.knowledge import load_deck
from cds_service.case_resources import PATIENT_ID, case_resources
from cds_service.fhir.reader import RESOURCES
from cds_service.record import SourceName
from cds_service.rule_engine.loader import load_knowledge
from cds_service.settings import Settings
from tests.ehr import PUBLIC_URL, Ehr, write_clients
from tests.http.stand_in import CALL, FEEDBACK
from tests.worked_patients import BY_ID

RULES = Path(__file__).parents[2] / "rules"
T = datetime(2026, 11, 2, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TABLES = load_knowledge(RULES, T.date()).tables
Json = dict[str, Any]

# Worked patients with one card each, whose charts say the same for a year (of an emergency: for a day).
INFO, WARNING, CRITICAL = "R08-P2", "R08-P1", "R03-P1"
CORD_WARNING, PRESSURE_INJURY, SARCOPENIA = "R03-P3", "R23-P1", "R16-E22"

AT_ONCE = 0
FAILED = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}


class Row(NamedTuple):
    """After how many days an unchanged card is shown again, by the card's indicator."""

    answer: str
    info: int
    warning: int
    critical: int
    ruling: str


TABLE = [
    #   what the user did              info     warning  critical  says who
    Row("nothing",                     AT_ONCE, AT_ONCE, AT_ONCE, "A-16"),
    Row("accepted",                    180,     30,      AT_ONCE, "B-80, A-16"),
    Row("overridden without a reason", 180,     30,      AT_ONCE, "C5, A-16"),
    Row("will-monitor",                30,      30,      AT_ONCE, "B-51"),
    Row("dose-already-being-reduced",  30,      30,      AT_ONCE, "B-51"),
    Row("snooze-30-d",                 30,      30,      AT_ONCE, "B-51"),
    Row("goals-of-care",               180,     180,     AT_ONCE, "B-51, B-66"),
    Row("under-specialist-care",       180,     180,     AT_ONCE, "B-51"),
    Row("already-done-elsewhere",      180,     180,     AT_ONCE, "B-51: the others"),
    Row("diagnosis-known",             180,     180,     AT_ONCE, "B-51: the others"),
    Row("patient-declined",            180,     180,     AT_ONCE, "B-51: the others"),
    Row("not-relevant",                180,     180,     AT_ONCE, "B-51: the others"),
    Row("specialist-protocol",         180,     180,     AT_ONCE, "B-51: the others"),
    Row("intentional-loss",            180,     180,     AT_ONCE, "B-51: the others"),
    Row("cannot-test",                 180,     180,     AT_ONCE, "B-51: the others"),
    Row("specialist-excluded",         180,     180,     AT_ONCE, "B-51: the others"),
    Row("a-reason-of-the-site",        180,     180,     AT_ONCE, "B-51: the others"),
]  # fmt: skip

# The exceptions: patient, answer, days until the unchanged card is back.
EXCEPTIONS = [
    (CORD_WARNING, "goals-of-care", AT_ONCE, "B-51: all but R03 and R23"),
    (PRESSURE_INJURY, "goals-of-care", AT_ONCE, "B-51: all but R03 and R23"),
    (PRESSURE_INJURY, "will-monitor", 30, "B-51"),
    (SARCOPENIA, "nothing", AT_ONCE, "A-16"),
    (SARCOPENIA, "accepted", 365, "B-80: R16 365 d for every answer but data-wrong"),
    (SARCOPENIA, "overridden without a reason", 365, "B-80"),
    (SARCOPENIA, "will-monitor", 365, "B-80"),
    (SARCOPENIA, "snooze-30-d", 365, "B-80"),
    (SARCOPENIA, "goals-of-care", 365, "B-80"),
    (SARCOPENIA, "cannot-test", 365, "B-80"),
]


class Chart:
    """One patient's chart at one EHR, opened again and again."""

    def __init__(self, call: Callable[[str, Json], Any], case: str) -> None:
        self._call = call
        self.patient_id = f"p{uuid.uuid4()}"
        written = json.dumps(case_resources(BY_ID[case], TABLES, T))
        self.resources: list[Json] = json.loads(written.replace(f"Patient/{PATIENT_ID}", f"Patient/{self.patient_id}"))
        self.resources[0]["id"] = self.patient_id
        self.answer: Json = {}
        self.failed: tuple[str, ...] = ()

    def opened(self) -> list[Json]:
        """The cards that are shown when the chart is opened."""
        body = {
            "hook": "patient-view",
            "hookInstance": str(uuid.uuid4()),
            "context": {"userId": "Practitioner/1", "patientId": self.patient_id},
            "prefetch": _prefetch(self.resources) | dict.fromkeys(self.failed, FAILED),
        }
        response = self._call(CALL, body)
        assert response.status_code == 200, response.text
        self.answer = response.get_json()
        cards: list[Json] = self.answer["cards"]
        return cards

    @property
    def said(self) -> Json:
        """The evaluation extension of the newest answer."""
        extension: Json = self.answer["extension"]["org.atrophy-cds.evaluation"]
        return extension

    def status(self, rule_id: str) -> tuple[str, str]:
        rule = next(rule for rule in self.said["rules"] if rule["id"] == rule_id)
        return rule["status"], rule["reason"]

    def set_aside(self) -> list[str]:
        """What was not counted because a user called it wrong."""
        noted = [one for source in self.said["sources"] for one in source.get("setAside", ())]
        return [one["reference"] for one in noted if one["reason"] == "called-wrong"]

    def answered(self, card: Json, answer: str, at: datetime) -> None:
        """A user does something with a card."""
        if answer == "nothing":
            return
        item: Json = {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": at.isoformat()}
        if answer == "accepted":
            item |= {"outcome": "accepted", "acceptedSuggestions": [{"id": str(uuid.uuid4())}]}
        elif answer != "overridden without a reason":
            item["overrideReason"] = {"reason": {"code": answer, "system": "urn:atrophy-cds:override-reasons"}}
        assert self._call(FEEDBACK, {"feedback": [item]}).status_code == 200

    def find(self, resource_type: str) -> Json:
        """The chart's first resource of a type, to be changed."""
        return next(resource for resource in self.resources if resource["resourceType"] == resource_type)


def _prefetch(resources: list[Json]) -> Json:
    prefetch: Json = {}
    for name in get_args(SourceName):
        own = [r for r in resources if r["resourceType"] == RESOURCES[name].__name__]
        searchset = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in own]}
        prefetch[name] = own[0] if name == "patient" else searchset if own else None
    return prefetch


class Site:
    """The service with a clock that a test moves, and charts."""

    def __init__(self, client: FlaskClient, ehr: Ehr | None = None) -> None:
        self._client = client
        self._ehr = ehr
        self.now = T

    def chart(self, case: str) -> Chart:
        self.now = T
        return Chart(self._post, case)

    def _post(self, path: str, body: Json) -> Any:
        return self._client.post(path, json=body, headers=self._ehr.bearer(path) if self._ehr else {})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """In open mode: a card that nobody answered is shown again."""
    database = tmp_path_factory.mktemp("store") / "cards.db"
    settings = Settings(open=True, database_url=f"sqlite:///{database}", deadline_seconds=20)
    app = create_app(settings, clock=lambda: site.now)
    site = Site(app.test_client())
    yield site
    app.extensions[STORE].close()


def shown(cards: list[Json]) -> list[tuple[str, str]]:
    """The lead rule and the indicator of each card."""
    return [(c["extension"]["org.atrophy-cds.assessment"]["rules"][0]["id"], c["indicator"]) for c in cards]


def days_until_shown_again(site: Site, case: str, answer: str, days: int) -> None:
    """The same request at once, an hour before so many days are over, and when they are."""
    chart = site.chart(case)
    (card,) = first = chart.opened()
    chart.answered(card, answer, site.now)
    if days:
        assert chart.opened() == []
        site.now = T + days * DAY - HOUR
        assert chart.opened() == []
        assert [rule["reason"] for rule in chart.said["rules"] if rule["reason"].startswith("snoozed until")]
    site.now = T + days * DAY
    assert shown(chart.opened()) == shown(first)


@pytest.mark.parametrize("row", TABLE, ids=[row.answer for row in TABLE])
@pytest.mark.parametrize(("case", "indicator"), [(INFO, "info"), (WARNING, "warning"), (CRITICAL, "critical")])
def test_the_same_request_after_an_answer(site: Site, row: Row, case: str, indicator: str) -> None:
    days_until_shown_again(site, case, row.answer, getattr(row, indicator))


@pytest.mark.parametrize(("case", "answer", "days", "ruling"), EXCEPTIONS)
def test_the_exceptions(site: Site, case: str, answer: str, days: int, ruling: str) -> None:
    days_until_shown_again(site, case, answer, days)


def test_every_override_reason_has_its_row() -> None:
    """A reason that a site adds to rules/cards.toml needs a row here: what it does must have been thought of."""
    elsewhere = {"assessed-today-not-emergency", "data-wrong"}  # below
    assert set(load_deck(RULES).cards.override_reasons) == {row.answer for row in TABLE[3:-1]} | elsewhere


# --- B-25: critical cards ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hours", "indicator"), [(0, "warning"), (1, "warning"), (23, "warning"), (24, "critical")])
def test_assessed_today_makes_an_unchanged_critical_card_a_warning_for_24_hours(
    site: Site, hours: int, indicator: str
) -> None:
    chart = site.chart(CRITICAL)
    (card,) = chart.opened()
    chart.answered(card, "assessed-today-not-emergency", site.now)
    site.now = T + hours * HOUR
    assert shown(chart.opened()) == [("cord-compression", indicator)]


def test_what_waits_behind_a_critical_card_follows_after_any_answer_to_it(site: Site) -> None:
    chart = site.chart(CRITICAL)
    chart.resources += _copies(site, WARNING, chart)
    (card,) = chart.opened()
    assert shown([card]) == [("cord-compression", "critical")]
    assert shown(chart.opened()) == [("cord-compression", "critical")]  # asked again, nobody answered: still alone
    chart.answered(card, "will-monitor", site.now)
    assert [indicator for _, indicator in shown(chart.opened())] == ["critical", "warning"]


def test_what_waits_behind_a_critical_card_follows_24_hours_after_it_was_first_shown(site: Site) -> None:
    chart = site.chart(CRITICAL)
    chart.resources += _copies(site, WARNING, chart)
    chart.opened()
    site.now = T + DAY - HOUR
    assert len(chart.opened()) == 1
    site.now = T + DAY
    assert [indicator for _, indicator in shown(chart.opened())] == ["critical", "warning"]


def _copies(site: Site, case: str, chart: Chart) -> list[Json]:
    """The conditions of another patient in this chart."""
    conditions = [r for r in site.chart(case).resources if r["resourceType"] == "Condition"]
    subject = {"reference": f"Patient/{chart.patient_id}"}
    return [{**condition, "id": f"more-{condition['id']}", "subject": subject} for condition in conditions]


# --- B-51: new and worse evidence -------------------------------------------------------------------------------------


def a_condition(chart: Chart, **changes: Any) -> Json:
    """The patient's first condition once more, changed."""
    made = copy.deepcopy(chart.find("Condition")) | {"id": "new"} | changes
    return {name: value for name, value in made.items() if value is not ...}


PROXIMAL = {"coding": [{"system": "http://snomed.info/sct", "code": "249939004"}], "text": "Proximal muscle weakness"}


def new_concept(chart: Chart) -> None:
    chart.resources.append(a_condition(chart, code=PROXIMAL))


def new_onset(chart: Chart) -> None:
    chart.resources.append(a_condition(chart, onsetDateTime=(T - 40 * DAY).date().isoformat()))


def higher_finding_level(chart: Chart) -> None:
    """Wasting (F2) beside weakness (F1)."""
    wasting = next(r for r in case_resources(BY_ID[WARNING], TABLES, T) if r["resourceType"] == "Condition")
    chart.resources.append(a_condition(chart, code=wasting["code"]))


def higher_steroid_level(chart: Chart) -> None:
    (medication,) = (r for r in chart.resources if r["resourceType"] == "MedicationStatement")
    dose = medication["dosage"][0]["doseAndRate"][0]["doseQuantity"]
    dose["value"] *= 4


def creatine_kinase(times_its_limit: float) -> Callable[[Chart], None]:
    """R05 writes limits of 4, 10 and 40 times the upper limit, 200 U/L here."""

    def set_value(chart: Chart) -> None:
        chart.find("Observation")["valueQuantity"]["value"] = times_its_limit * 200

    return set_value


def unchanged(_: Chart) -> None:
    """The worked patient as it is."""


WORSE = [
    (INFO, unchanged, new_concept, "a new concept"),
    (INFO, unchanged, new_onset, "the same concept with another onset"),
    (INFO, unchanged, higher_finding_level, "F up"),
    ("R11-P1", unchanged, higher_steroid_level, "GC level up"),
    ("R05-P2", creatine_kinase(7), creatine_kinase(11), "a higher threshold band"),
]


@pytest.mark.parametrize(("case", "before", "after", "what"), WORSE, ids=[what for *_, what in WORSE])
@pytest.mark.parametrize("answer", ["accepted", "will-monitor", "not-relevant"])
def test_new_or_worse_evidence_brings_an_answered_card_back(
    site: Site, case: str, before: Callable[[Chart], None], after: Callable[[Chart], None], what: str, answer: str
) -> None:
    chart = site.chart(case)
    before(chart)
    for card in chart.opened():
        chart.answered(card, answer, site.now)
    assert chart.opened() == []
    after(chart)
    assert chart.opened() != []


def recorded_again(chart: Chart) -> None:
    chart.resources.append(a_condition(chart))


def saved_again(chart: Chart) -> None:
    for resource in chart.resources:
        resource["meta"] = {"versionId": "2", "lastUpdated": "2026-11-02T11:00:00Z"}


def test_a_higher_value_within_the_same_limits_is_not_worse(site: Site) -> None:
    """B-80: the bands are the limits that the rule itself writes."""
    chart = site.chart("R05-P2")
    creatine_kinase(7)(chart)
    (card,) = chart.opened()
    chart.answered(card, "will-monitor", site.now)
    creatine_kinase(9)(chart)
    assert chart.opened() == []


@pytest.mark.parametrize("change", [recorded_again, saved_again])
def test_what_is_only_saved_again_is_not_new(site: Site, change: Callable[[Chart], None]) -> None:
    """B-51: no resource ids and no versions in the fingerprint."""
    chart = site.chart(INFO)
    (card,) = chart.opened()
    chart.answered(card, "will-monitor", site.now)
    change(chart)
    assert chart.opened() == []


def test_evidence_that_gets_less_brings_it_back_too(site: Site) -> None:
    """More than B-51 asks, and the safer side: any change of the evidence is looked at anew (docs/adr/0005)."""
    chart = site.chart(INFO)
    new_concept(chart)
    for card in chart.opened():
        chart.answered(card, "will-monitor", site.now)
    assert chart.opened() == []
    chart.resources.pop()
    assert chart.opened() != []


# --- B-51: data-wrong -------------------------------------------------------------------------------------------------


def called_wrong(site: Site, case: str) -> Chart:
    """A chart whose card was answered with data-wrong, opened again."""
    chart = site.chart(case)
    for resource in chart.resources:
        resource["meta"] = {"versionId": "1", "lastUpdated": "2026-11-01T00:00:00Z"}
    (card,) = chart.opened()
    chart.answered(card, "data-wrong", site.now)
    chart.opened()
    return chart


@pytest.mark.parametrize("case", [WARNING, CRITICAL, PRESSURE_INJURY, CORD_WARNING])
def test_what_a_card_cites_is_left_out_after_data_wrong_and_named(site: Site, case: str) -> None:
    """Critical cards too. It is never silent: the answer names each resource and counts them."""
    chart = called_wrong(site, case)
    assert chart.answer["cards"] == []
    assert chart.set_aside() != []
    assert chart.said["calledWrong"] == len(chart.set_aside())
    site.now = T + DAY - HOUR
    assert chart.opened() == []


def test_sarcopenia_too_and_after_a_change_it_is_not_snoozed(site: Site) -> None:
    """B-80: every answer but data-wrong."""
    chart = called_wrong(site, SARCOPENIA)
    assert "sarcopenia-frailty" not in [rule for rule, _ in shown(chart.answer["cards"])]
    for resource in chart.resources:
        resource["meta"]["versionId"] = "2"
    assert "sarcopenia-frailty" in [rule for rule, _ in shown(chart.opened())]


def test_the_rules_are_asked_as_if_it_were_not_there(site: Site) -> None:
    """Not snoozed: not met."""
    chart = called_wrong(site, WARNING)
    assert chart.status("unexplained-weakness-wasting")[0] == "not-met"


CHANGES: dict[str, Callable[[Json], object]] = {
    "versionId": lambda r: r["meta"].update(versionId="2"),
    "lastUpdated, where there is no versionId": lambda r: r.update(meta={"lastUpdated": "2026-11-02T00:00:00Z"}),
    "the content, although the version stayed": lambda r: r.update(recordedDate="2026-11-01"),
    "the status, although the version stayed": lambda r: r.pop("verificationStatus"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("case", [WARNING, CRITICAL])
def test_once_it_changes_it_counts_again(site: Site, case: str, change: Callable[[Json], object]) -> None:
    chart = called_wrong(site, case)
    for resource in chart.resources:
        if resource["resourceType"] == "Condition":
            change(resource)
    assert [rule for rule, _ in shown(chart.opened())] == [
        "cord-compression" if case == CRITICAL else "unexplained-weakness-wasting"
    ]
    assert chart.set_aside() == []
    assert "calledWrong" not in chart.said


@pytest.mark.parametrize("meta", [..., {}, {"versionId": 7}, [], {"lastUpdated": None}])
def test_a_resource_without_a_version_is_recognised_by_its_content(site: Site, meta: object) -> None:
    chart = site.chart(WARNING)
    condition = chart.find("Condition")
    condition.update({} if meta is ... else {"meta": meta})
    (card,) = chart.opened()
    chart.answered(card, "data-wrong", site.now)
    assert chart.opened() == []
    condition["onsetDateTime"] = "2026-09-01"
    assert len(chart.opened()) == 1


def test_a_resource_that_nothing_identifies_is_never_left_out(site: Site) -> None:
    """Another one without an id would go with it: the card stays."""
    chart = site.chart(WARNING)
    del chart.find("Condition")["id"]
    (card,) = chart.opened()
    chart.answered(card, "data-wrong", site.now)
    assert len(chart.opened()) == 1


def test_only_what_the_card_cites_is_left_out(site: Site) -> None:
    """The same finding in another resource still counts: somebody else saw it too."""
    chart = called_wrong(site, WARNING)
    chart.resources.append(a_condition(chart))
    (card,) = chart.opened()
    assert [fact["reference"] for fact in card["extension"]["org.atrophy-cds.assessment"]["basis"]] == ["Condition/new"]
    assert "because a user called them wrong: 1 of the record's entries" in card["detail"]


def test_the_newest_answer_to_a_card_counts(site: Site) -> None:
    """A user who takes it back is heard."""
    chart = site.chart(CRITICAL)
    (card,) = chart.opened()
    chart.answered(card, "data-wrong", site.now)
    assert chart.opened() == []
    chart.answered(card, "will-monitor", site.now + HOUR)
    site.now += 2 * HOUR
    assert shown(chart.opened()) == [("cord-compression", "critical")]


def test_another_patients_resource_of_the_same_name_still_counts(site: Site) -> None:
    called_wrong(site, WARNING)
    chart = site.chart(WARNING)
    for resource in chart.resources:
        resource["meta"] = {"versionId": "1", "lastUpdated": "2026-11-01T00:00:00Z"}
    assert len(chart.opened()) == 1


# --- a CDS Client that never sends feedback ---------------------------------------------------------------------


@pytest.fixture
def once(tmp_path: Path) -> Iterator[Site]:
    """A client of the file with `repeat = "once"`."""
    ehr = Ehr()
    settings = Settings(
        clients_file=write_clients(tmp_path, ehr, 'repeat = "once"\ndeadline_seconds = 20'),
        public_url=PUBLIC_URL,
        database_url=f"sqlite:///{tmp_path}/cards.db",
    )
    app = create_app(settings, clock=lambda: site.now)
    site = Site(app.test_client(), ehr)
    yield site
    app.extensions[STORE].close()


@pytest.mark.parametrize(("case", "days"), [(INFO, 180), (WARNING, 30), (SARCOPENIA, 180)])
def test_shown_once_an_unchanged_card_is_hidden_for_30_or_180_days(once: Site, case: str, days: int) -> None:
    chart = once.chart(case)
    first = chart.opened()
    assert chart.opened() == []
    once.now = T + days * DAY - HOUR
    assert chart.opened() == []
    assert any(rule["reason"].startswith("shown-once, hidden until") for rule in chart.said["rules"])
    once.now = T + days * DAY
    assert shown(chart.opened()) == shown(first)
    assert chart.opened() == []  # and again once


def test_shown_once_a_critical_card_is_never_hidden(once: Site) -> None:
    chart = once.chart(CRITICAL)
    for _ in range(3):
        assert shown(chart.opened()) == [("cord-compression", "critical")]


def test_shown_once_new_evidence_is_shown(once: Site) -> None:
    chart = once.chart(INFO)
    chart.opened()
    assert chart.opened() == []
    new_concept(chart)
    assert chart.opened() != []


def test_shown_once_what_could_not_be_checked_is_still_named_at_each_call(once: Site) -> None:
    """P-04: no answer came, and an empty answer would be taken for one without findings."""
    chart = once.chart(INFO)
    chart.failed = ("medicationRequests",)
    for _ in range(2):
        assert chart.opened()[-1]["source"]["topic"]["code"] == "recordgaps"
