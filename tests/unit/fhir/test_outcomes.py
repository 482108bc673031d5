"""P-02: which OperationOutcome means that a source is complete, incomplete or failed."""

import msgspec
import pytest

from cds_service.fhir.outcomes import verdict_on_entry, verdict_on_value
from cds_service.fhir.resources import OperationOutcome
from cds_service.record import SourceState
from tests.unit.fhir.samples import outcome

COMPLETE, INCOMPLETE, FAILED = SourceState.COMPLETE, SourceState.INCOMPLETE, SourceState.FAILED


def decoded(*issues):
    """One OperationOutcome with the issues of all."""
    together = {"resourceType": "OperationOutcome", "issue": [issue for one in issues for issue in one["issue"]]}
    return msgspec.convert(together, OperationOutcome)


@pytest.mark.parametrize("severity", ["fatal", "error"])
@pytest.mark.parametrize("code", ["processing", "not-found", "suppressed", "throttled", "timeout"])
def test_a_whole_value_with_severity_fatal_or_error_has_failed(severity, code):
    assert verdict_on_value(decoded(outcome(severity, code))) == (FAILED, "outcome-error")


@pytest.mark.parametrize("severity", ["fatal", "error"])
@pytest.mark.parametrize("code", ["processing", "invalid", "exception", "timeout", "transient"])
def test_an_entry_with_fatal_or_error_has_failed(severity, code):
    assert verdict_on_entry(decoded(outcome(severity, code))) == (FAILED, "outcome-error")


@pytest.mark.parametrize("severity", ["fatal", "error", "warning", "information"])
@pytest.mark.parametrize("code", ["suppressed", "forbidden", "security", "incomplete", "throttled", "too-costly"])
def test_an_entry_that_says_something_is_held_back_is_incomplete_at_any_severity(severity, code):
    assert verdict_on_entry(decoded(outcome(severity, code))) == (INCOMPLETE, "outcome-incomplete")


@pytest.mark.parametrize("severity", ["warning", "information"])
@pytest.mark.parametrize("code", ["timeout", "transient", "exception"])
def test_lost_on_the_way_below_error_is_incomplete(severity, code):
    assert verdict_on_entry(decoded(outcome(severity, code))).state is INCOMPLETE
    assert verdict_on_value(decoded(outcome(severity, code))).state is INCOMPLETE


@pytest.mark.parametrize("epic_code", ["4130", "4131", "4134", "59204", "59205"])
@pytest.mark.parametrize("severity", ["fatal", "error", "warning", "information"])
def test_epic_codes_win_over_the_severity_of_an_entry(epic_code, severity):
    assert verdict_on_entry(decoded(outcome(severity, "processing", epic_code))).state is INCOMPLETE


@pytest.mark.parametrize("epic_code", ["4130", "4131", "4134", "59204", "59205"])
def test_of_a_whole_value_the_severity_wins(epic_code):
    assert verdict_on_value(decoded(outcome("error", "processing", epic_code))).state is FAILED
    assert verdict_on_value(decoded(outcome("warning", "processing", epic_code))).state is INCOMPLETE


@pytest.mark.parametrize("epic_code", ["4101", "4119"])
def test_epic_no_results_and_its_like_are_only_warnings(epic_code):
    """Epic answers an empty search with such an entry (C33): that is a search which found nothing."""
    assert verdict_on_entry(decoded(outcome("warning", "processing", epic_code))) == (COMPLETE, None)


@pytest.mark.parametrize("code", ["informational", "business-rule", "not-supported", "value"])
def test_everything_else_below_error_is_complete(code):
    assert verdict_on_entry(decoded(outcome("information", code))).state is COMPLETE
    assert verdict_on_value(decoded(outcome("warning", code))).state is COMPLETE


def test_the_worst_issue_decides():
    mixed = decoded(outcome("warning", "informational"), outcome("error", "throttled"), outcome("error", "processing"))

    assert verdict_on_entry(mixed).state is FAILED


def test_an_outcome_that_does_not_say_how_bad_it_is_is_read_as_an_error():
    for vague in (decoded(), decoded({"issue": [{"code": "processing"}]}), decoded({"issue": [{"severity": "odd"}]})):
        assert verdict_on_entry(vague).state is FAILED
        assert verdict_on_value(vague).state is FAILED
