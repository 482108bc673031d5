"""The chart page never shows a failure as nothing to advise (T23): every state has its own words."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.charts import (
    HEALTHY,
    SERVICE,
    STEROID_MYOPATHY,
    change_hook_request,
    expected_console_error,
    outcome,
    state,
)


def expect_could_not_check(page: Page, kind: str, text: str) -> None:
    expect(state(page)).to_have_attribute("data-state", kind)
    expect(state(page)).to_contain_text("Could not check")
    expect(state(page)).to_contain_text(text)
    expect(page.locator("#advice")).not_to_contain_text("Nothing to advise")


def test_a_healthy_patient_has_nothing_to_advise(page, live_server):
    page.goto(f"{live_server.url}/chart/{HEALTHY}")
    expect(state(page)).to_contain_text("Nothing to advise")
    expect(state(page)).to_have_attribute("data-state", "nothing")


def test_412_is_shown_as_could_not_check(page, live_server, console_errors):
    """C32: a request without conditions and without a FHIR server, answered by the real service."""
    change_hook_request(page, lambda request: request["prefetch"].pop("conditions"))
    with expected_console_error(console_errors, "412"):
        page.goto(f"{live_server.url}/chart/{HEALTHY}")
        expect_could_not_check(page, "unchecked", "could not be read")


def test_500_is_shown_as_could_not_check_with_the_text_of_its_outcome(page, live_server, console_errors):
    page.route(SERVICE, lambda route: route.fulfill(status=500, json=outcome("The service failed.")))
    with expected_console_error(console_errors, "500"):
        page.goto(f"{live_server.url}/chart/{HEALTHY}")
        expect_could_not_check(page, "failed", "The service failed. (status 500)")


@pytest.mark.parametrize("body", ["", "<html>All clear!</html>", "{}", '{"cards": null}', "[]", "null"])
def test_a_200_that_is_no_cds_hooks_answer_is_shown_as_could_not_check(page, live_server, body):
    page.route(SERVICE, lambda route: route.fulfill(status=200, body=body, content_type="application/json"))
    page.goto(f"{live_server.url}/chart/{HEALTHY}")
    expect_could_not_check(page, "failed", "The answer of the service is not")


def test_a_card_that_cannot_be_shown_is_said(page, live_server, console_errors):
    page.route(SERVICE, lambda route: route.fulfill(json={"cards": [None]}))
    with expected_console_error(console_errors, "null"):
        page.goto(f"{live_server.url}/chart/{HEALTHY}")
        expect_could_not_check(page, "failed", "The answer of the service could not be shown.")


def test_no_answer_at_all_is_shown_as_could_not_check(page, live_server, console_errors):
    page.route(SERVICE, lambda route: route.abort())
    with expected_console_error(console_errors, "ERR_FAILED"):
        page.goto(f"{live_server.url}/chart/{HEALTHY}")
        expect_could_not_check(page, "failed", "The service did not answer.")


def test_a_source_that_failed_is_named_and_never_reads_as_nothing_to_advise(page, live_server):
    """C33, P-04: an OperationOutcome instead of the results."""
    change_hook_request(page, lambda request: request["prefetch"].update(observations=outcome("results are down")))
    page.goto(f"{live_server.url}/chart/{HEALTHY}")
    expect_could_not_check(page, "unchecked", "observations")


def test_a_source_that_failed_is_named_above_the_cards_too(page, live_server):
    """P-04, B-82: what was found is shown, and what could not be looked at is said first."""
    change_hook_request(page, lambda request: request["prefetch"].update(observations=outcome("results are down")))
    page.goto(f"{live_server.url}/chart/{STEROID_MYOPATHY}")
    expect_could_not_check(page, "unchecked", "observations")
    expect(page.locator("article.card.warning")).to_have_count(1)


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("snoozed until 2026-12-27", "No advice shown now. 1 rule is snoozed until 2026-12-27."),
        ("snoozed", "No advice shown now. 1 rule is snoozed."),
        ("strength-measured", "No advice shown now. 1 rule kept silent with a reason: some-rule (strength-measured)."),
    ],
)
def test_a_rule_that_stays_silent_is_told_apart_from_nothing_to_advise(page, live_server, reason, shown):
    rules = [{"id": "some-rule", "version": "1.0.0", "status": "suppressed", "reason": reason}]
    answer = {"cards": [], "extension": {"org.atrophy-cds.evaluation": {"rules": rules}}}
    page.route(SERVICE, lambda route: route.fulfill(json=answer))
    page.goto(f"{live_server.url}/chart/{HEALTHY}")
    expect(state(page)).to_have_text(shown)


def test_while_the_answer_is_awaited_the_page_says_loading(page, live_server):
    page.route(SERVICE, lambda _route: None)
    page.goto(f"{live_server.url}/chart/{HEALTHY}")
    expect(state(page)).to_contain_text("Loading")
    expect(state(page)).to_have_attribute("data-state", "loading")
    page.unroute_all(behavior="ignoreErrors")


def test_check_again_asks_the_service_anew(page, live_server, console_errors):
    page.route(SERVICE, lambda route: route.fulfill(status=500, json=outcome("The service failed.")))
    with expected_console_error(console_errors, "500"):
        page.goto(f"{live_server.url}/chart/{HEALTHY}")
        expect_could_not_check(page, "failed", "The service failed.")
    page.unroute(SERVICE)
    page.get_by_role("button", name="Check again").click()
    expect(state(page)).to_have_attribute("data-state", "nothing")
