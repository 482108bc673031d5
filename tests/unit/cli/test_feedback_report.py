"""`atrophy-cds feedback report`: what became of the cards of a real store, as table, CSV and picture."""

from __future__ import annotations

import csv
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.cds_hooks.feedback import FeedbackItem
from cds_service.cli.feedback_tally import tally, wilson
from cds_service.store import Store
from cds_service.store.outcomes import CardOutcome
from tests.http.stand_in import Shown

NOW = datetime(2026, 11, 27, 10, tzinfo=UTC)
MYOPATHY, WEAKNESS, FALLS = "steroid-myopathy", "unexplained-weakness-wasting", "falls"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path}/cds.db")
    store.migrate()
    yield store
    store.close()


def show(store: Store, *rules: str, client: str = "st-elsewhere", days_ago: int = 0) -> str:
    card = str(uuid.uuid4())
    at = NOW - timedelta(days=days_ago)
    store.note_shown(client, "patient", [Shown(card, rules=tuple((rule, "1.0.0") for rule in rules))], at)
    return card


def answer(store: Store, card: str, reason: str | None = None, *, client: str = "st-elsewhere", later: int = 0) -> None:
    """Dismissed for a reason, or without one."""
    item = FeedbackItem(card, "overridden", NOW + timedelta(minutes=later), reason_code=reason)
    store.record_feedback(client, [item], NOW)


def accept(store: Store, card: str, *, later: int = 0) -> None:
    item = FeedbackItem(card, "accepted", NOW + timedelta(minutes=later), (str(uuid.uuid4()),))
    store.record_feedback("st-elsewhere", [item], NOW)


@pytest.fixture
def used(store: Store) -> Store:
    """Ten cards: 3 accepted, 4 dismissed, 3 unanswered."""
    for _ in range(2):
        accept(store, show(store, MYOPATHY, WEAKNESS))
    changed_mind = show(store, MYOPATHY)
    answer(store, changed_mind, "will-monitor")
    accept(store, changed_mind, later=5)
    answer(store, show(store, MYOPATHY), "will-monitor")
    answer(store, show(store, FALLS), "not-relevant")
    answer(store, show(store, FALLS, client="oldtown"), "not-relevant", client="oldtown")
    answer(store, show(store, FALLS))
    for _ in range(2):
        show(store, FALLS)
    show(store, WEAKNESS, days_ago=40)
    return store


def counted(cards: Iterable[CardOutcome], by: str) -> dict[str, tuple[int, ...]]:
    """Per line: of how many cards, then each outcome."""
    report = tally(cards, by)
    return {line.name: (line.cards, *(line.counts[outcome] for outcome in report.outcomes)) for line in report.lines}


def test_by_rule_a_card_counts_under_every_rule_on_it(used: Store) -> None:
    """Shown, accepted, overridden, unanswered. The newest answer to a card counts."""
    assert counted(used.outcomes(None), "rule") == {
        FALLS: (5, 0, 3, 2),
        MYOPATHY: (4, 3, 1, 0),
        WEAKNESS: (3, 2, 0, 1),
        "all": (10, 3, 4, 3),
    }


def test_by_client(used: Store) -> None:
    assert counted(used.outcomes(None), "client") == {
        "st-elsewhere": (9, 3, 3, 3),
        "oldtown": (1, 0, 1, 0),
        "all": (10, 3, 4, 3),
    }


def test_by_reason_each_is_a_share_of_all_that_were_dismissed(used: Store) -> None:
    assert counted(used.outcomes(None), "reason") == {
        "not-relevant": (4, 2),
        "no reason given": (4, 1),
        "will-monitor": (4, 1),
        "all": (4, 4),
    }


def test_cards_shown_before_the_day_do_not_count(used: Store) -> None:
    since = counted(used.outcomes(NOW - timedelta(days=30)), "rule")
    assert since["all"] == (9, 3, 4, 2)
    assert since[WEAKNESS] == (2, 2, 0, 0)


def test_nothing_was_shown(store: Store) -> None:
    assert counted(store.outcomes(None), "rule") == {"all": (0, 0, 0, 0)}


# --- the interval -----------------------------------------------------------------------------------------------------

# Newcombe, Stat Med 1998;17:857-872, table I, method 3.
PUBLISHED = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]


@pytest.mark.parametrize(("count", "total", "low", "high"), PUBLISHED)
def test_the_interval_is_that_of_the_literature(count: int, total: int, low: float, high: float) -> None:
    found = wilson(count, total)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@given(st.integers(0, 10**9).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_the_interval_holds_the_share_and_stays_within_0_and_1(of: tuple[int, int]) -> None:
    low, share, high = wilson(*of)
    assert 0 <= low <= share <= high <= 1


@given(st.integers(1, 10**6), st.integers(2, 100))
def test_more_cards_make_it_narrower(total: int, times: int) -> None:
    one, more = wilson(total // 2, total), wilson(total // 2 * times, total * times)
    assert more.high - more.low < one.high - one.low


@given(st.integers(0, 10**6).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_what_is_said_of_one_outcome_is_said_of_its_opposite(of: tuple[int, int]) -> None:
    count, total = of
    if total:
        one, other = wilson(count, total), wilson(total - count, total)
        assert one.low == pytest.approx(1 - other.high, abs=1e-9)


@given(st.lists(st.tuples(st.sampled_from(["accepted", "overridden", None]), st.sampled_from([None, "a", "b"]))))
def test_the_outcomes_of_a_line_add_up_to_its_cards(cards: list[tuple[str | None, str | None]]) -> None:
    made = [CardOutcome("ehr", (MYOPATHY,), outcome, reason) for outcome, reason in cards]
    for line in tally(made, "rule").lines:
        assert line.counts.total() == line.cards
        assert line.reasons.total() == line.counts["overridden"]


# --- the command ------------------------------------------------------------------------------------------------------


def run(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cds_service", "feedback", "report", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "COLUMNS": "200",
            "ATROPHY_CDS_DATABASE_URL": f"sqlite:///{folder}/cds.db",
        },
        cwd=Path(__file__).parents[3],
    )


def test_the_table_and_the_csv(used: Store, tmp_path: Path) -> None:
    out = run(tmp_path, "--csv", tmp_path / "report.csv")
    assert out.returncode == 0, out.stderr
    assert "Cards ever shown, by rule" in out.stdout
    assert "3: 75 % (30–95)" in out.stdout  # 3 of 4 cards of steroid-myopathy were accepted
    assert "95 % Wilson interval" in out.stdout
    assert "not-relevant 2, no reason given 1" in out.stdout

    rows = list(csv.DictReader((tmp_path / "report.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["rule"] for row in rows] == [FALLS, MYOPATHY, WEAKNESS, "all"]
    assert [row["shown"] for row in rows] == ["5", "4", "3", "10"]
    assert (rows[1]["accepted"], rows[1]["accepted_share"]) == ("3", "0.7500")
    assert rows[3]["reasons"] == "not-relevant 2, no reason given 1, will-monitor 1"


def test_since_a_day(used: Store, tmp_path: Path) -> None:
    out = run(tmp_path, "--since", "2026-11-01", "--by", "client")
    assert "Cards shown since 2026-11-01, by client" in out.stdout
    assert "oldtown" in out.stdout


def test_a_reason_from_outside_steers_neither_terminal_nor_spreadsheet(store: Store, tmp_path: Path) -> None:
    answer(store, show(store, FALLS), "=cmd|' /C calc'!A0\x1b[31m[red]")
    out = run(tmp_path, "--by", "reason", "--csv", tmp_path / "report.csv")
    assert "=cmd|' /C calc'!A0[31m[red]" in out.stdout
    assert "\x1b" not in out.stdout
    assert "\n'=cmd|" in (tmp_path / "report.csv").read_text()


@pytest.mark.parametrize(("name", "starts"), [("r.png", b"\x89PNG"), ("r.svg", b"<?xml"), ("r.pdf", b"%PDF")])
def test_the_picture(used: Store, tmp_path: Path, name: str, starts: bytes) -> None:
    out = run(tmp_path, "--picture", tmp_path / name)
    assert out.returncode == 0, out.stderr
    assert (tmp_path / name).read_bytes().startswith(starts)


def test_the_picture_has_a_mark_for_each_share_and_names_nobody(used: Store, tmp_path: Path) -> None:
    run(tmp_path, "--picture", tmp_path / "r.svg", "--by", "client")
    ElementTree.parse(tmp_path / "r.svg")  # noqa: S314 - our own file
    drawn = (tmp_path / "r.svg").read_text()
    for words in ("st-elsewhere (9 shown)", "oldtown (1 shown)", "all (10 shown)", "accepted", "overridden"):
        assert words in drawn, words


def test_another_kind_of_picture_is_refused_before_anything_is_written(used: Store, tmp_path: Path) -> None:
    out = run(tmp_path, "--picture", tmp_path / "r.gif", "--csv", tmp_path / "report.csv")
    assert (out.returncode, out.stdout) == (2, "")
    assert ".png, .svg, .pdf" in out.stderr
    assert not (tmp_path / "report.csv").exists()


def test_without_the_extra_it_says_what_to_install(used: Store, tmp_path: Path) -> None:
    program = "import sys; sys.modules['matplotlib'] = None; from cds_service.cli.commands import main; main()"
    arguments = ["feedback", "report", "--picture", str(tmp_path / "r.png")]
    out = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert out.returncode == 2
    assert out.stderr.strip() == "atrophy-cds: --picture needs the extra `report`: pip install atrophy-cds[report]."
