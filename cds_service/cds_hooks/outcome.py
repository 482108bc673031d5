"""The FHIR OperationOutcome that stands in every answer that is not 2xx (C62)."""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["fatal", "error", "warning", "information"]


class _Issue(msgspec.Struct, gc=False):
    severity: Severity
    code: str
    diagnostics: str


class _OperationOutcome(msgspec.Struct, gc=False):
    resourceType: str  # noqa: N815 - FHIR's own name
    issue: tuple[_Issue]


def operation_outcome(severity: Severity, code: str, diagnostics: str) -> bytes:
    """The JSON body. ``code`` is from FHIR's issue-type value set; ``diagnostics`` is our own text (P-20)."""
    issue = _Issue(severity, code, diagnostics)
    return msgspec.json.encode(_OperationOutcome("OperationOutcome", (issue,)))
