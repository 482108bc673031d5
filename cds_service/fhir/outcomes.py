"""What an OperationOutcome says about the source that it came from (P-02, C33)."""

from __future__ import annotations

from typing import NamedTuple

from cds_service.fhir.resources import Issue, OperationOutcome
from cds_service.record import SourceState

# Issue codes of https://hl7.org/fhir/R4/valueset-issue-type.html that mean "something is held back".
_HELD_BACK = frozenset({"suppressed", "forbidden", "security", "incomplete", "throttled", "too-costly"})
# Below severity error these mean that something was lost on the way.
_LOST = frozenset({"timeout", "transient", "exception"})
_EPIC_INCOMPLETE = frozenset({"4130", "4131", "4134", "59204", "59205"})
# Below error: these severities alone are harmless. An issue that does not say its severity is read as an error.
_HARMLESS = frozenset({"warning", "information", "success"})

COMPLETE, INCOMPLETE, FAILED = SourceState.COMPLETE, SourceState.INCOMPLETE, SourceState.FAILED
_RANK = {COMPLETE: 0, INCOMPLETE: 1, FAILED: 2}


class Verdict(NamedTuple):
    """A source's state and, unless complete, the constant word for its cause."""

    state: SourceState
    cause: str | None = None


ALL_SEEN = Verdict(COMPLETE)
_PART_HELD_BACK = Verdict(INCOMPLETE, "outcome-incomplete")
_ERROR = Verdict(FAILED, "outcome-error")


def verdict_on_value(outcome: OperationOutcome) -> Verdict:
    """An outcome in place of resources: fatal or error means failed, whatever its code."""
    issues = outcome.issue or ()
    if not issues or any(issue.severity not in _HARMLESS for issue in issues):
        return _ERROR
    return verdict_on_entry(outcome)


def verdict_on_entry(outcome: OperationOutcome) -> Verdict:
    """An outcome as an entry of a Bundle: the worst of its issues. Without any issue it is read as an error."""
    verdicts = [_verdict_on_issue(issue) for issue in outcome.issue or ()]
    return max(verdicts, key=lambda verdict: _RANK[verdict.state], default=_ERROR)


def _verdict_on_issue(issue: Issue) -> Verdict:
    if issue.code in _HELD_BACK or _is_epic_incomplete(issue):
        return _PART_HELD_BACK
    if issue.severity not in _HARMLESS:
        return _ERROR
    return _PART_HELD_BACK if issue.code in _LOST else ALL_SEEN


def _is_epic_incomplete(issue: Issue) -> bool:
    codings = issue.details.coding if issue.details else None
    return any(coding.code in _EPIC_INCOMPLETE for coding in codings or ())
