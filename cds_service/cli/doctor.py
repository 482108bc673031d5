"""``atrophy-cds doctor``: whether a FHIR server gives what the rules read, and the prefetch sheet for its EHR."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cds_service.cds_hooks.request import is_fhir_id
from cds_service.cli.doctor_checks import Doctor
from cds_service.cli.doctor_codes import CodeSystems
from cds_service.cli.doctor_finding import Finding, Verdict
from cds_service.errors import SettingsError
from cds_service.fhir.addresses import open_mode_allows
from cds_service.fhir.client import FhirClient
from cds_service.prefetch import PrefetchPlan, prefetch_plan
from cds_service.reads import reads_of
from cds_service.record import SourceName
from cds_service.rule_engine.written import read_struct
from cds_service.service import load_rule_pack
from cds_service.settings import Settings

SOMETHING_FAILED = 1
_TOKEN = re.compile(r"[!-~]+")  # what an Authorization header can carry
_COLOURS: dict[Verdict, str] = {"pass": "green", "warn": "yellow", "fail": "red", "skipped": "dim"}


class _CodeSystems(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``rules/code_systems.toml``."""

    aliases: dict[str, str]
    names: dict[str, str]


def examine(base: str, token_file: Path | None, patient_id: str | None, *, as_json: bool) -> int:
    """Print the report. 0 when nothing failed, else 1.

    Raises SettingsError for an address that is not contacted, a file without a token, or what is no FHIR id.
    """
    if not open_mode_allows(base) or "?" in base or "#" in base:
        raise SettingsError(
            f"{base!r} is not contacted: use the https address of a FHIR base, or http on this machine."
        )
    if patient_id is not None and not is_fhir_id(patient_id):
        raise SettingsError("--patient is the id of a FHIR Patient: letters, digits, hyphens and full stops.")
    token = _token_in(token_file) if token_file else None
    settings = Settings.from_environment()
    pack = load_rule_pack(settings.rules_dir, settings.today())
    plan = prefetch_plan(reads_of(pack))
    vocabulary = pack.knowledge.vocabulary
    names = read_struct(settings.rules_dir / "code_systems.toml", _CodeSystems).names
    with FhirClient() as client:
        doctor = Doctor(
            client, plan, base.rstrip("/"), token, vocabulary=vocabulary, code_systems=CodeSystems(vocabulary, names)
        )
        findings = _watched(doctor, patient_id)
    if as_json:
        not_offered = sorted(doctor.not_offered)
        document = {"findings": findings, "prefetch": dict(plan.templates), "notOffered": not_offered}
        click.echo(msgspec.json.encode(document).decode())
    else:
        _print(base, findings)
        _print_sheet(plan, doctor.not_offered)
    return SOMETHING_FAILED if any(finding.verdict == "fail" for finding in findings) else 0


def _token_in(path: Path) -> str:
    """The token of a file (T38). The errors do not say what else is in it."""
    try:
        token = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        token = ""
    if not _TOKEN.fullmatch(token):
        raise SettingsError(f"{path} does not hold one access token and nothing else.")
    return token


def _watched(doctor: Doctor, patient_id: str | None) -> list[Finding]:
    """All findings, each named on standard error while the next is looked for."""
    findings: list[Finding] = []
    with Console(stderr=True).status("Examining ...") as status:
        for finding in doctor.findings(patient_id):
            findings.append(finding)
            status.update(escape(f"Examining ... {finding.check}: {finding.verdict}"))
    return findings


def _print(base: str, findings: list[Finding]) -> None:
    console = Console()
    table = Table(title=f"{escape(base)}", title_justify="left")
    for heading in ("Check", "", "Found", "ms", "What to do"):
        table.add_column(heading, justify="right" if heading == "ms" else "left", overflow="fold")
    for finding in findings:
        spent = "" if finding.milliseconds is None else f"{finding.milliseconds:.0f}"
        verdict = f"[{_COLOURS[finding.verdict]}]{finding.verdict}[/]"
        table.add_row(escape(finding.check), verdict, escape(finding.found), spent, escape(finding.advice))
    console.print(table)
    counted = Counter(finding.verdict for finding in findings)
    click.echo(", ".join(f"{counted[verdict]} {verdict}" for verdict in _COLOURS if counted[verdict]))


def _print_sheet(plan: PrefetchPlan, not_offered: Collection[SourceName]) -> None:
    """What the EHR's analyst types in; and what not, because the server would refuse it (P-03)."""
    click.echo("\nPrefetch sheet (CDS Hooks 2.0): one key and its query to a line, to be typed into the EHR.\n")
    for key in plan.reads.sources:
        if key not in not_offered:
            click.echo(f"{key}\t{plan.templates[key]}")
    if not_offered:
        click.echo(f"\nLeave out, this server does not offer it: {', '.join(sorted(not_offered))}")
