"""A real Chromium for the tests in this folder: `page` fails its test on any error in the browser's console."""

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

HERE = Path(__file__).parent
BROWSER_REQUIRED = os.environ.get("ATROPHY_CDS_REQUIRE_BROWSER") == "1"
NO_CHROMIUM = "Chromium not found: apt-get install chromium (or set CHROMIUM=/path)"
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder carries the marker `browser`, so that `-m "not browser"` leaves it out."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("browser")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A missing Chromium is told in one line; where a browser is required, a skipped test is a failed one."""
    report = yield
    if not report.skipped or hasattr(report, "wasxfail"):
        return report
    reason = report.longrepr[2]
    if BROWSER_REQUIRED:
        report.outcome = "failed"
        report.longrepr = f"{reason} (ATROPHY_CDS_REQUIRE_BROWSER=1: a skip is a failure)"
    elif NO_CHROMIUM in reason:
        report.longrepr = (str(HERE), None, reason)  # the same place for every test, so pytest counts them together
    return report


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Where Chromium is; without one the tests that need it are skipped."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip(NO_CHROMIUM)
    return path


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> Iterator[Browser]:
    """One Chromium for the whole run."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def console_errors() -> list[str]:
    """Errors the page reported. A test that provokes one takes it out of this list."""
    return []


@pytest.fixture
def page(browser: Browser, console_errors: list[str]) -> Iterator[Page]:
    """A fresh page with its own cookies and storage; its errors fail the test."""

    def note_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            console_errors.append(message.text)

    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.on("console", note_console)
    page.on("pageerror", lambda error: console_errors.append(str(error)))
    yield page
    context.close()
    assert console_errors == []
