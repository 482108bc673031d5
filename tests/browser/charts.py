"""The synthetic patients that the tests of the chart page open, and the places on the page that they look at."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Locator, Page, Route

from cds_service.fixture_patients import load_fixture_patients
from cds_service.settings import Settings

SETTINGS = Settings(open=True)
FIXTURES = SETTINGS.fixtures_dir
PATIENTS = load_fixture_patients(FIXTURES, SETTINGS.today())

STEROID_MYOPATHY = "ada-steroid-myopathy"
HEALTHY = "anna-healthy"
RISKS_ONLY = "gert-diabetic-feet"
SERVICE = "**/cds-services/atrophy-risk"
HOOK_REQUEST = "**/hook-request"


def state(page: Page) -> Locator:
    """Where the page says whether the chart was checked and what came of it."""
    return page.locator("#advice-state")


def first_card(page: Page) -> Locator:
    """The most urgent card."""
    return page.locator("article.card").first


def outcome(text: str) -> dict[str, Any]:
    """The OperationOutcome of a failure."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "fatal", "code": "exception", "diagnostics": text}],
    }


def change_hook_request(page: Page, change: Callable[[dict[str, Any]], None]) -> None:
    """Let the client send another request than its own: what the service then answers is real."""

    def changed(route: Route) -> None:
        request = route.fetch().json()
        change(request)
        route.fulfill(json=request)

    page.route(HOOK_REQUEST, changed)


@contextmanager
def expected_console_error(console_errors: list[str], text: str) -> Iterator[None]:
    """The browser reports a failed request by itself; any other error still fails the test."""
    yield
    assert all(text in error for error in console_errors), console_errors
    console_errors.clear()
