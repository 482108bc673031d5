"""Whether the worked patients notice when a rule is changed in one place: ``python -m tests.rules.mutation_check``.

A mutant, of a rule or of the shared criteria of ``gates.toml``, is caught when a case of ``rules/*/cases.toml`` comes
out otherwise than written. Why each other one survives stands in ``surviving_mutants/<rule id>.toml`` and
``surviving_mutants/gates.toml``. Nothing on disk changes.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import msgspec

from cds_service.rule_engine.loader import Knowledge, load_knowledge
from tests.rules.mutation_bench import AS_OF, GATES, Bench, Outcome

RULES = Path(__file__).parents[2] / "rules"
REASONS = Path(__file__).parent / "surviving_mutants"
WANTED_PERCENT = 95


class Survivor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why no worked patient can, or does, tell a mutant from the rule. ``change`` as the check prints it."""

    change: str
    reason: str


class _SurvivorFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    survivor: tuple[Survivor, ...] = ()


def reasons_of(name: str) -> Mapping[str, str]:
    """The written reasons of the survivors of a rule or of the gates, by change."""
    path = REASONS / f"{name}.toml"
    if not path.exists():
        return {}
    return {s.change: s.reason for s in msgspec.toml.decode(path.read_bytes(), type=_SurvivorFile).survivor}


def _report(name: str, outcomes: list[Outcome]) -> int:
    """Print what the patients do not catch of a rule or of the gates.

    The number of survivors without reason and reasons without need.
    """
    survivors = [o for o in outcomes if o.caught_by is None]
    reasons = reasons_of(name)
    click.echo(f"{name}: {len(outcomes)} mutants, {len(outcomes) - len(survivors)} caught")
    for one in survivors:
        change = one.mutant.change
        said = reasons.get(change, f"NO REASON ({one.mutant.kind}; {one.part}; {one.unsaid} unsaid)")
        click.echo(f"    survives: {change}: {said}")
    idle = reasons.keys() - {o.mutant.change for o in survivors}
    for change in sorted(idle):
        click.echo(f"    NOT NEEDED, it is caught or no longer made: {change}")
    return sum(o.mutant.change not in reasons for o in survivors) + len(idle)


def _report_all(outcomes: list[Outcome]) -> None:
    labelled = [(label, o) for o in outcomes for label in (f"kind {o.mutant.kind}", f"part {o.part}")]
    totals = Counter(label for label, _ in labelled)
    lost = Counter(label for label, o in labelled if o.caught_by is None)
    for label, count in sorted(totals.items()):
        click.echo(f"{label}: {count} mutants, {count - lost[label]} caught")
    caught = sum(o.caught_by is not None for o in outcomes)
    click.echo(f"all: {len(outcomes)} mutants, {caught} caught, {_percent(outcomes):.1f} %")


def _percent(outcomes: list[Outcome]) -> float:
    return 100 * sum(o.caught_by is not None for o in outcomes) / max(1, len(outcomes))


def _tried(knowledge: Knowledge) -> Iterator[tuple[str, Iterator[Outcome]]]:
    """The rules by number, then the gates, each with the outcomes of its mutants; none is tried before it is read."""
    bench = Bench(knowledge)
    for compiled in knowledge.rules.by_number:
        yield compiled.rule.id, bench.try_rule(compiled.rule)
    yield GATES, bench.try_gates()


@click.command()
@click.option("--rule", "only", multiple=True, help="Id of a rule, or gates; all when not given.")
def main(only: tuple[str, ...]) -> None:
    """Print what the worked patients do not catch, and why.

    Ends with 1 when they catch less than 95 % of the mutants, or when the written reasons are not those of the
    survivors.
    """
    outcomes: list[Outcome] = []
    unexplained = 0
    for name, tried in _tried(load_knowledge(RULES, AS_OF.date())):
        if only and name not in only:
            continue
        of_name = list(tried)
        unexplained += _report(name, of_name)
        outcomes += of_name
    _report_all(outcomes)
    sys.exit(_percent(outcomes) < WANTED_PERCENT or unexplained > 0)


if __name__ == "__main__":
    main()
