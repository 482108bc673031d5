"""``atrophy-cds check-rules``: validate ``rules/`` and run every worked patient through the whole walk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cds_service.cards.knowledge import load_deck
from cds_service.case_resources import PATIENT_ID, case_resources
from cds_service.cases import Case, differences, load_cases
from cds_service.cli.coverage import coverage_of, has_claims
from cds_service.errors import RuleFileError
from cds_service.fhir.reader import payloads_from_resources, read_record
from cds_service.governance.bands import load_bands
from cds_service.rule_engine.evaluate import evaluate
from cds_service.rule_engine.facts import gather_facts
from cds_service.rule_engine.loader import Knowledge, load_knowledge
from cds_service.settings import Settings

FAILED = 1


def check_rules(folder: Path | None) -> int:
    """Print one line per rule, every difference and the claims answered. 0 when all is as written."""
    folder = folder or Settings.from_environment().rules_dir
    console = Console()
    as_of = datetime.now(UTC).replace(hour=12, minute=0)  # "an hour ago" and "today" of a case are the same day
    try:
        knowledge = load_knowledge(folder, as_of.date())
        deck = load_deck(folder)
        load_bands(folder)
        cases = load_cases(folder)
        coverage = coverage_of(folder, knowledge, deck, (c.id for _, c in cases)) if has_claims(folder) else None
    except RuleFileError as error:
        console.print(str(error), style="bold red", markup=False, soft_wrap=True)
        return FAILED
    console_err = Console(stderr=True)
    wrong = list(track_differences(knowledge, cases, as_of, console_err))
    _print_rules(knowledge, cases, Counter(rule for rule, _, _ in wrong), console)
    for rule, case, problem in wrong:
        console.print(f"{rule} {case}: {problem}", style="red", markup=False)
    console.print(f"{len(knowledge.rules.by_number)} rules, {len(cases)} cases, {len(wrong)} differences")
    if coverage is not None:
        for claim, sentences in coverage.faults.items():
            console.print(f"{claim}: {'; '.join(sentences)}", style="red", markup=False, soft_wrap=True)
        console.print(coverage.line, markup=False)
    return FAILED if wrong or (coverage is not None and coverage.faults) else 0


def track_differences(
    knowledge: Knowledge, cases: tuple[tuple[str, Case], ...], as_of: datetime, console: Console
) -> Iterator[tuple[str, str, str]]:
    """Rule id, case id and sentence for everything that came out otherwise than written."""
    for rule_id, case in track(cases, "Cases", console=console, transient=True):
        for problem in case_differences(case, knowledge, as_of):
            yield rule_id, case.id, problem


def case_differences(case: Case, knowledge: Knowledge, as_of: datetime) -> Iterator[str]:
    """Run one case: write it as FHIR, read it, derive, ask every rule, compare."""
    resources = [msgspec.json.encode(r) for r in case_resources(case, knowledge.tables, as_of)]
    payloads = payloads_from_resources(resources)
    record = read_record(payloads, PATIENT_ID, vocabulary=knowledge.vocabulary, as_of=as_of)
    aside = [s for source in record.sources.values() for s in source.set_aside]
    yield from (f"{s.reference} was set aside: {s.reason}" for s in aside if s.reason not in MEANT_TO_BE_SET_ASIDE)
    yield from differences(case, evaluate(knowledge.rules, gather_facts(record, knowledge, as_of)))


MEANT_TO_BE_SET_ASIDE = frozenset({"no-known-code", "status-not-known"})


def _print_rules(
    knowledge: Knowledge, cases: tuple[tuple[str, Case], ...], wrong: Counter[str], console: Console
) -> None:
    count = Counter(rule for rule, _ in cases)
    table = Table("No.", "Rule", "Version", "Cases", "Differences", "Review by", "Clinically reviewed")
    for compiled in knowledge.rules.by_number:
        rule = compiled.rule
        table.add_row(
            rule.number,
            rule.id,
            rule.version,
            str(count[rule.id]),
            str(wrong[rule.id]),
            f"{rule.review_by}{' (passed)' if rule.id in knowledge.expired else ''}",
            rule.checker or "no",
        )
    console.print(table)
