"""Refuses prefetch templates that a CDS Client may not understand (C17-C21) or that hide a running course (P-01)."""

from __future__ import annotations

import re
from collections.abc import Mapping

MAX_BYTES = 1_900  # P-09
# A patient id may have 255 characters (P-12); its token in a template has 21.
_GROWTH = 255

# https://hl7.org/fhir/R4/searchparameter-registry.html. The parameters that P-01 leaves to each type: no status, no
# category and no date where a running course could lack it.
PARAMETERS: Mapping[str, frozenset[str]] = {
    "Condition": frozenset({"patient"}),
    "FamilyMemberHistory": frozenset({"patient"}),
    "MedicationStatement": frozenset({"patient"}),
    "MedicationRequest": frozenset({"patient"}),
    "MedicationDispense": frozenset({"patient"}),
    "MedicationAdministration": frozenset({"patient"}),
    "CarePlan": frozenset({"patient"}),
    "Observation": frozenset({"patient", "code", "date"}),
    "Procedure": frozenset({"patient", "date"}),
    "DiagnosticReport": frozenset({"patient", "date"}),
    "ServiceRequest": frozenset({"patient", "authored"}),
    "Encounter": frozenset({"patient", "date"}),
    "Appointment": frozenset({"patient", "date"}),
}
READABLE = frozenset({"Patient"})
_DATES = frozenset({"date", "authored"})
_RESULTS = frozenset({"_count", "_maxresults", "_sort"})  # C19

_TOKEN = re.compile(r"\{\{(.*?)\}\}")
# C17, C18: root-level context fields of patient-view, and the ids of the user.
_TOKENS = frozenset(
    {
        "context.patientId",
        "context.userId",
        "context.encounterId",
        "userPractitionerId",
        "userPractitionerRoleId",
        "userPatientId",
        "userRelatedPersonId",
    }
)
_TODAY = re.compile(r"today\(\)( [+-] \d{1,5} days)?")  # C21
_READ = re.compile(r"([A-Za-z]+)/\{\{[^{}]+\}\}")
_DATE_VALUE = re.compile(r"(eq|lt|gt|ge|le)(\d{4}-\d{2}-\d{2}|\{\{[^{}]+\}\})")
_VALUE = re.compile(r"([A-Za-z0-9_.,%-]|\{\{[^{}]+\}\})+")


def lint(template: str, *, version_3: bool = False) -> None:
    """Raise ValueError, naming the reason, unless the template is within CDS Hooks 2.0.1 (or 3.0) and P-01."""
    for token in _TOKEN.findall(template):
        _require(token in _TOKENS or (version_3 and _TODAY.fullmatch(token)), f"the token {token!r} (C17, C18)")
    _require(len(template) + _GROWTH <= MAX_BYTES, f"more than {MAX_BYTES} bytes (P-09)")
    read = _READ.fullmatch(template)
    if read:
        _require(read[1] in READABLE, f"reading {read[1]} by id")
        return
    resource, separator, query = template.partition("?")
    _require(separator and resource in PARAMETERS, "anything but a read by id or a search of a type we read (C19)")
    names = [_lint_parameter(resource, *parameter.partition("=")) for parameter in query.split("&")]
    _require(len(names) == len(set(names)), "a parameter that is repeated: clients join or drop it")
    _require("patient" in names, "a search that is not for one patient")


def _lint_parameter(resource: str, name: str, _equals: str, value: str) -> str:
    bare = name.removesuffix(":in")
    _require(bare in PARAMETERS[resource] | _RESULTS, f"the parameter {name!r} of {resource} (C19, P-01)")
    _require(bare == name or bare not in _DATES | _RESULTS, f"the modifier of {name!r} (C19)")
    pattern = _DATE_VALUE if bare in _DATES else _VALUE
    _require(pattern.fullmatch(value), f"the value of {name!r} (C19)")
    return bare


def _require(holds: object, refused: str) -> None:
    if not holds:
        raise ValueError(f"A prefetch template must not have {refused}.")
