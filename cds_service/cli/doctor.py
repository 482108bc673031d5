"""``atrophy-cds doctor``: whether a FHIR server gives what the rules read, and the prefetch sheet for its EHR."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cds_service.cli.doctor_checks import Doctor, Finding, Verdict
from cds_service.errors import SettingsError
from cds_service.fhir.addresses import open_mode_allows
from cds_service.fhir.client import FhirClient
from cds_service.prefetch import PrefetchPlan, prefetch_plan
from cds_service.reads import reads_of
from cds_service.rule_engine.written import read_struct
from cds_service.service import load_rule_pack
from cds_service.settings import Settings

SOMETHING_FAILED = 1
_COLOURS: dict[Verdict, str] = {"pass": "green", "warn": "yellow", "fail": "red", "skipped": "dim"}


class _CodeSystems(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``rules/code_systems.toml``."""

    aliases: dict[str, str]
    names: dict[str, str]


def examine(base: str, token_file: Path | None, patient_id: str | None, *, as_json: bool) -> int:
    """Print the report. 0 when nothing failed, else 1. Raises SettingsError for an address that is not contacted."""
    if not open_mode_allows(base):
        raise SettingsError(f"{base!r} is not contacted: use https, or http on this machine.")
    settings = Settings.from_environment()
    pack = load_rule_pack(settings.rules_dir, settings.today())
    plan = prefetch_plan(reads_of(pack))
    token = token_file.read_text().strip() if token_file else None
    with FhirClient() as client:
        doctor = Doctor(client, plan, base, token)
        findings = _watched(doctor, patient_id, _known_systems(settings.rules_dir))
    if as_json:
        click.echo(msgspec.json.encode({"findings": findings, "prefetch": dict(plan.templates)}).decode())
    else:
        _print(base, findings, plan)
    return SOMETHING_FAILED if any(finding.verdict == "fail" for finding in findings) else 0


def _watched(doctor: Doctor, patient_id: str | None, systems: dict[str, str]) -> list[Finding]:
    """All findings, each named on standard error while the next is looked for."""
    findings: list[Finding] = []
    with Console(stderr=True).status("Examining ...") as status:
        for finding in doctor.findings(patient_id, systems):
            findings.append(finding)
            status.update(f"Examining ... {finding.check}: {finding.verdict}")
    return findings


def _print(base: str, findings: list[Finding], plan: PrefetchPlan) -> None:
    console = Console()
    table = Table(title=f"{escape(base)}", title_justify="left")
    for heading in ("Check", "", "Found", "ms", "What to do"):
        table.add_column(heading, justify="right" if heading == "ms" else "left", overflow="fold")
    for finding in findings:
        spent = "" if finding.milliseconds is None else f"{finding.milliseconds:.0f}"
        verdict = f"[{_COLOURS[finding.verdict]}]{finding.verdict}[/]"
        advice = "" if finding.verdict == "pass" else finding.advice
        table.add_row(escape(finding.check), verdict, escape(finding.found), spent, escape(advice))
    console.print(table)
    counted = Counter(finding.verdict for finding in findings)
    click.echo(", ".join(f"{counted[verdict]} {verdict}" for verdict in _COLOURS if counted[verdict]))
    click.echo("\nPrefetch sheet (CDS Hooks 2.0): one key and its query to a line, to be typed into the EHR.\n")
    for key, template in plan.templates.items():
        click.echo(f"{key}\t{template}")


def _known_systems(rules: Path) -> dict[str, str]:
    """Every spelling of a code system that the rules use, and what people call it."""
    written = read_struct(rules / "code_systems.toml", _CodeSystems)
    return {**written.names, **{alias: written.names.get(system, system) for alias, system in written.aliases.items()}}
