"""Worked patients of ``rules/*/cases.toml``: written for clinicians, and what must come out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec

from cds_service.errors import RuleFileError
from cds_service.rule_engine.code_tables import PRODUCT_COLUMNS
from cds_service.rule_engine.loader import order_keys
from cds_service.rule_engine.model import Assessment, Evaluation, Status
from cds_service.rule_engine.written import convert, line_of, read_csv, read_toml

_OFFSET = re.compile(r"T(?:([+-])(\d+)([dhm]))?")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}
NOT_FIRED = "none"
Place = Literal["left arm", "right arm", "left hand", "right hand", "left leg", "right leg", "left foot", "right foot"]
Places = Place | Literal["both arms", "both hands", "both legs"]


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of a case."""


class CaseCondition(_Row, frozen=True, kw_only=True):
    """A Condition: confirmed and active unless said."""

    code: str
    name: str
    onset: str | None = None
    onset_text: str | None = None
    recorded: str | None = None
    abated: str | None = None
    status: str | None = "active"
    verification: str | None = "confirmed"
    category: str | None = None
    site: Places | None = None


class CaseMedication(_Row, frozen=True, kw_only=True):
    """A steroid, or with its RxNorm ``code`` another drug."""

    drug: str
    kind: Literal["statement", "request", "dispense", "administration"] = "statement"
    code: str | None = None
    text_only: bool = False
    dose: float | None = None
    unit: str = "mg"
    times: float = 1
    period: float = 1
    period_unit: str = "d"
    route: str | None = "oral"
    since: str | None = None
    until: str | None = None
    written: str | None = None
    supply_days: float | None = None
    status: str = "active"
    as_needed: bool = False
    steps: tuple[Mapping[str, Any], ...] = ()


class CaseResult(_Row, frozen=True, kw_only=True):
    """A result or measurement. ``what`` is a value set of results. ``range_text`` is a reference range in words."""

    what: str
    value: float
    unit: str | None = None
    on: str | None = None
    comparator: str | None = None
    low: float | None = None
    range_text: str | None = None
    specimen: str | None = None
    code: str | None = None
    high: float | None = None
    site: Place | None = None


class CaseActivity(_Row, frozen=True, kw_only=True):
    """Something done, ordered or planned. A plan may say ``text`` in words in place of ``what``."""

    what: str | None = None
    on: str
    text: str | None = None
    kind: Literal["procedure", "report", "order", "plan"] = "procedure"
    status: str | None = None
    reason: str | None = None


class CasePlace(_Row, frozen=True, kw_only=True):
    """Where the patient was in an encounter, and when."""

    specialty: str
    on: str | None = None
    until: str | None = None


class CaseVisit(_Row, frozen=True, kw_only=True):
    """An encounter or appointment with a specialty."""

    on: str
    specialty: str | None = None
    kind: Literal["encounter", "appointment"] = "encounter"
    setting: str = "AMB"
    until: str | None = None
    status: str | None = None
    places: tuple[CasePlace, ...] = ()


class CaseRelative(_Row, frozen=True, kw_only=True):
    """A condition of a relative."""

    code: str
    name: str
    relation: str


class _Named(msgspec.Struct, frozen=True):
    """What a case may name: value sets, orders, steroids."""

    sets: frozenset[str]
    orders: frozenset[str]
    drugs: frozenset[str]


class Case(_Row, frozen=True, kw_only=True):
    """One worked patient. ``expect`` gives for rule ids an indicator, or ``none``, or ``suppressed: reason``.

    ``offers`` and ``preselects`` name orders; ``says`` are pieces of what the rules that fire have to say: summary,
    opening, advice, what was looked for in vain, and the facts as "label value (limit)".
    """

    id: str
    title: str
    sex: str | None = "female"
    age: float = 50
    birth_date_known: bool = True
    deceased: bool = False
    conditions: tuple[CaseCondition, ...] = ()
    medications: tuple[CaseMedication, ...] = ()
    results: tuple[CaseResult, ...] = ()
    activities: tuple[CaseActivity, ...] = ()
    visits: tuple[CaseVisit, ...] = ()
    relatives: tuple[CaseRelative, ...] = ()
    expect: Mapping[str, str]
    offers: tuple[str, ...] = ()
    does_not_offer: tuple[str, ...] = ()
    preselects: tuple[str, ...] = ()
    does_not_preselect: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    does_not_say: tuple[str, ...] = ()
    steroid_level: int | None = None
    claims: tuple[str, ...] = ()


def moment(text: str, as_of: datetime) -> str:
    """``T-30d`` as a FHIR date, ``T-6h`` as a dateTime; anything else as it is written."""
    match = _OFFSET.fullmatch(text)
    if match is None:
        return text
    sign, number, unit = match.groups()
    if sign is None:
        return as_of.date().isoformat()
    shift = timedelta(**{_UNITS[unit]: int(number)})
    shifted = as_of + shift if sign == "+" else as_of - shift
    return shifted.date().isoformat() if unit == "d" else shifted.isoformat(timespec="seconds")


def load_cases(folder: Path) -> tuple[tuple[str, Case], ...]:
    """Rule id and case, of every ``cases.toml``. Raises RuleFileError with the place of what is wrong."""
    found: dict[str, tuple[str, Case]] = {}
    known = _named_in(folder)
    for path in sorted(folder.glob("*/cases.toml")):
        written = read_toml(path).get("case")
        if not isinstance(written, list) or not written:
            raise RuleFileError(path, 1, "no [[case]]")
        for one in written:
            case = convert(path, one, Case, str(one.get("id", "[[case]]")))
            if case.id in found:
                raise RuleFileError(path, line_of(path, case.id), f"case {case.id!r} stands twice")
            _refuse_unknown_names(path, case, known)
            found[case.id] = (path.parent.name, case)
    return tuple(found.values())


def _named_in(folder: Path) -> _Named:
    orders = order_keys(folder / "orders.toml")
    sets = {path.stem for path in (folder / "value_sets").glob("*.csv")} | {f"order:{key}" for key in orders}
    drugs = {row["ingredient"] for _, row in read_csv(folder / "steroid_products.csv", PRODUCT_COLUMNS)}
    return _Named(frozenset(sets), orders, frozenset(drugs))


def _refuse_unknown_names(path: Path, case: Case, known: _Named) -> None:
    """A name that nothing bears would make no resource, or a wish that always holds."""
    specialties = (s for visit in case.visits for s in (visit.specialty, *(place.specialty for place in visit.places)))
    sets = (*(r.what for r in case.results), *(a.what for a in case.activities), *specialties)
    orders = (*case.offers, *case.does_not_offer, *case.preselects, *case.does_not_preselect)
    drugs = (m.drug for m in case.medications if m.code is None and not m.text_only)
    for kind, names, allowed in (
        ("value set", sets, known.sets),
        ("order", orders, known.orders),
        ("steroid", drugs, known.drugs),
    ):
        for name in names:
            if name is not None and name not in allowed:
                raise RuleFileError(path, line_of(path, case.id, name), f"no {kind} is called {name!r}")


def differences(case: Case, evaluation: Evaluation) -> Iterator[str]:
    """What came out otherwise than the case says, each as one sentence."""
    answers = {a.rule.id: a for a in evaluation.assessments}
    for rule_id, expected in case.expect.items():
        if rule_id not in answers:
            yield f"no rule is called {rule_id}"
        elif (got := _said(answers[rule_id], expected)) != expected:
            yield f"{rule_id}: {expected} expected, {got} came"
    offered = {o.order for a in evaluation.fired for o in a.offers}
    yield from (f"{order} should be offered" for order in case.offers if order not in offered)
    yield from (f"{order} should not be offered" for order in case.does_not_offer if order in offered)
    ready = {o.order for a in evaluation.fired for o in a.offers if o.preselect}
    yield from (f"{order} should be pre-selected" for order in case.preselects if order not in ready)
    yield from (f"{order} should not be pre-selected" for order in case.does_not_preselect if order in ready)
    said = "\n".join(text for a in evaluation.fired for text in _texts(a)) if case.says or case.does_not_say else ""
    yield from (f"{text!r} should be said" for text in case.says if text not in said)
    yield from (f"{text!r} should not be said" for text in case.does_not_say if text in said)
    level = evaluation.facts.exposure.level
    if case.steroid_level is not None and level != case.steroid_level:
        yield f"steroid level GC{case.steroid_level} expected, GC{level} came"


def _texts(assessment: Assessment) -> Iterator[str]:
    yield from (assessment.summary, assessment.opening, *assessment.advice, *assessment.missing)
    for fact in assessment.facts:
        yield " ".join(part for part in (fact.label, fact.value, fact.threshold and f"({fact.threshold})") if part)


def _said(assessment: Assessment, expected: str) -> str:
    if assessment.status is Status.FIRED:
        return assessment.indicator or "fired"
    if expected == NOT_FIRED:
        return NOT_FIRED
    if assessment.status is Status.SUPPRESSED:
        return f"suppressed: {assessment.reason}"
    return assessment.status.value
