"""``atrophy-cds evaluate``: what the rules say about patients in files, and why."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import msgspec
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cds_service.advice import Advice
from cds_service.cards.compose import CardContext
from cds_service.cards.memory import NO_MEMORY
from cds_service.cds_hooks.request import parse_hook_request
from cds_service.cds_hooks.response import encode
from cds_service.errors import AtrophyCdsError, SettingsError
from cds_service.fhir.patient_files import newest_date, read_patient_files
from cds_service.fhir.reader import SourcePayload, payloads_from_resources, read_record
from cds_service.fhir.reading.charts import PatientFile
from cds_service.partial_date import end_of_day
from cds_service.record import SetAside, SourceName, SourceState
from cds_service.rule_engine.model import Evaluation, Status
from cds_service.service import RulePack, advise, load_rule_pack
from cds_service.settings import Settings

NEWEST = "newest"
FAILED = 1
NOT_IN_THE_REQUEST = "not-in-the-request"  # nothing is fetched here
MANY = 2  # patients: from here on progress is shown


class Judged(msgspec.Struct, frozen=True):
    """One patient of a file: the advice, or why there is none."""

    label: str
    patient_id: str | None
    as_of: datetime | None
    advice: Advice | None
    set_aside: tuple[SetAside, ...]
    problem: str | None = None


def evaluate(files: tuple[Path, ...], as_of: str | None, *, as_json: bool) -> int:
    """Print every patient's answers, then a summary. 0, or 1 when a patient could not be judged or none was found."""
    settings = Settings.from_environment()
    zone = ZoneInfo(settings.site_zone)
    moment = moment_of(as_of, zone)
    pack = load_rule_pack(settings.rules_dir, settings.today())
    patients = list(read_patient_files(files))
    console = Console(stderr=True)
    judged = [
        judge(patient, moment, zone, pack)
        for patient in track(patients, "Evaluating", console=console, disable=len(patients) < MANY)
    ]
    printer = _print_json if as_json else _print_text
    printer(judged, pack)
    nobody = not any(j.patient_id for j in judged)
    return FAILED if nobody or any(j.problem for j in judged) else 0


def moment_of(text: str | None, zone: tzinfo) -> datetime | str:
    """The moment to evaluate at: now, ``newest``, the end of a DATE in the site's zone, or a DATETIME."""
    if text is None:
        return datetime.now(zone)
    if text == NEWEST:
        return NEWEST
    try:
        if len(text) == len("YYYY-MM-DD"):
            return end_of_day(date.fromisoformat(text), zone)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError("--as-of takes a DATE (2026-11-27), a DATETIME or the word newest") from None
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)


def judge(patient: PatientFile, moment: datetime | str, zone: tzinfo, pack: RulePack) -> Judged:
    """The advice for one patient of a file, at ``moment`` or on the patient's own newest day."""
    if patient.patient_id is None:
        return Judged(patient.label, None, None, None, patient.unassigned)
    try:
        payloads = _payloads(patient)
        as_of = moment if isinstance(moment, datetime) else _newest(payloads, zone)
        record = read_record(payloads, patient.patient_id, vocabulary=pack.knowledge.vocabulary, as_of=as_of)
    except AtrophyCdsError as error:
        return Judged(patient.label, patient.patient_id, None, None, patient.unassigned, str(error))
    advice = advise(record, as_of, pack, NO_MEMORY, CardContext(patient.patient_id))
    aside = tuple(s for source in record.sources.values() for s in source.set_aside)
    return Judged(patient.label, patient.patient_id, as_of, advice, (*patient.unassigned, *aside))


def _payloads(patient: PatientFile) -> tuple[SourcePayload, ...]:
    if patient.hook_request is None:
        return payloads_from_resources(patient.resources)
    prefetch = parse_hook_request(bytes(patient.hook_request)).prefetch
    came = dict(prefetch.present()) if prefetch else {}
    return tuple(
        SourcePayload(name, "prefetch", SourceState.COMPLETE, (came[name],))
        if name in came
        else SourcePayload(name, "none", SourceState.FAILED, cause=NOT_IN_THE_REQUEST)
        for name in get_args(SourceName)
    )


def _newest(payloads: tuple[SourcePayload, ...], zone: tzinfo) -> datetime:
    newest = newest_date(page for payload in payloads for page in payload.pages)
    return datetime.now(zone) if newest is None else end_of_day(newest, zone)


# --- for machines ----------------------------------------------------------------------------------------------------


def _print_json(judged: list[Judged], pack: RulePack) -> None:
    for one in judged:
        sys.stdout.write(json.dumps(_as_json(one, pack)) + "\n")
    sys.stdout.write(json.dumps({"summary": _summary(judged)}) + "\n")


def _as_json(one: Judged, pack: RulePack) -> dict[str, Any]:
    shown: dict[str, Any] = {"label": one.label, "patient": one.patient_id}
    if one.problem:
        shown["problem"] = one.problem
    if one.set_aside:
        shown["setAside"] = [{"reference": s.reference, "reason": s.reason} for s in one.set_aside]
    if one.advice is not None:
        shown |= json.loads(encode(one.advice.response(pack.knowledge.pack_hash)))
    return shown


def _summary(judged: list[Judged]) -> dict[str, Any]:
    people = [j for j in judged if j.advice is not None]
    cards = sum(len(j.advice.composed.cards) for j in people if j.advice)
    fired = Counter(
        (a.rule.id, a.status.value)
        for j in people
        if j.advice
        for a in j.advice.evaluation.assessments
        if a.status in (Status.FIRED, Status.UNKNOWN, Status.SUPPRESSED)
    )
    return {
        "patients": len(people),
        "withoutPatient": sum(1 for j in judged if j.patient_id is None),
        "problems": sum(1 for j in judged if j.problem),
        "cards": cards,
        "cardsPer100": round(100 * cards / len(people), 1) if people else 0,
        "setAside": sum(len(j.set_aside) for j in judged),
        "rules": {f"{rule} {status}": count for (rule, status), count in sorted(fired.items())},
    }


# --- for people ------------------------------------------------------------------------------------------------------


def _print_text(judged: list[Judged], pack: RulePack) -> None:
    console = Console()
    for one in judged:
        console.rule(f"{one.label}  {one.patient_id or ''}", align="left")
        for line in _lines(one):
            console.print(line, markup=False, highlight=False)
        if one.advice is not None:
            console.print(_rules_table(one.advice))
    summary = _summary(judged)
    table = Table("Summary", "", title=None)
    for name, value in summary.items():
        for row in [(name, value)] if not isinstance(value, dict) else list(value.items()):
            table.add_row(str(row[0]), str(row[1]))
    console.print(table)


def _lines(one: Judged) -> Iterator[str]:
    if one.problem:
        yield f"could not be judged: {one.problem}"
    for aside in one.set_aside:
        yield f"set aside: {aside.reference}: {aside.reason}"
    if one.advice is not None:
        yield from _fact_lines(one.advice.evaluation)
        yield from _card_lines(one.advice)


def _fact_lines(evaluation: Evaluation) -> Iterator[str]:
    facts = evaluation.facts
    yield f"as of {facts.as_of.isoformat(timespec='seconds')}; {evaluation.tier_sentence}"
    for course in facts.exposure.basis:
        yield f"steroid: {course.display}, {course.start} to {course.end}, {course.peq_mg_per_day} mg/day prednisone-eq"
    for source in facts.record.sources.values():
        if source.state is not SourceState.COMPLETE:
            yield f"source {source.name}: {source.state.value} ({source.cause or 'nothing supplied'})"


def _card_lines(advice: Advice) -> Iterator[str]:
    if not advice.composed.cards:
        yield "no card"
    for card in advice.composed.cards:
        yield f"[{card.indicator}] {card.summary}"
        yield from (f"    {line}" for line in (card.detail or "").splitlines() if line)
        yield from (f"    offer: {suggestion.label}" for suggestion in card.suggestions or ())


def _rules_table(advice: Advice) -> Table:
    table = Table("Rule", "Status", "Reason", "Basis", show_edge=False)
    for assessment in advice.evaluation.assessments:
        basis = "; ".join(
            " ".join(part for part in (fact.reference, fact.value, fact.date_kind, fact.date) if part)
            for fact in assessment.facts
        )
        status, reason = advice.composed.notes.get(assessment.rule.id, (assessment.status.value, assessment.reason))
        table.add_row(assessment.rule.id, status, reason, basis)
    return table
