"""A real Chromium for the tests in this folder: `page` fails its test on any error in the browser's console."""

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wsgi import ClosingIterator

from cds_service.app import STORE, create_app
from cds_service.settings import Settings
from cds_service.store import Store
from tests.browser.charts import STEROID_MYOPATHY
from tests.serving import serving

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

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


class LiveServer(NamedTuple):
    """The whole service on a port of its own, and its store to look into."""

    url: str
    store: Store


class _QuietHandler(WSGIRequestHandler):
    def log_request(self, *_args: object) -> None:
        """The service writes its own line for each call."""


def _in_one_piece(app: "WSGIApplication") -> "WSGIApplication":
    """The development server forgets to close a file when the browser goes away while it is sent."""

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
        with closing(ClosingIterator(app(environ, start_response))) as parts:
            return [b"".join(parts)]

    return answer


@pytest.fixture(scope="module")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LiveServer]]:
    """Starts the service in open mode, with other settings where a test names them, each time with an empty store.

    Servers outlive the page of their test: a browser that is still reading must not meet a closed door.
    """
    with ExitStack() as stack:

        def start(**changes: Any) -> LiveServer:
            store_file = tmp_path_factory.mktemp("store") / "store.db"
            settings = Settings(open=True, demo=True, database_url=f"sqlite:///{store_file}", **changes)
            app = create_app(settings)
            store = app.extensions[STORE]
            stack.callback(store.close)
            server = make_server("127.0.0.1", 0, _in_one_piece(app), threaded=True, request_handler=_QuietHandler)
            stack.enter_context(serving(server))
            return LiveServer(f"http://127.0.0.1:{server.port}", store)

        yield start


@pytest.fixture
def live_server(start_server: Callable[..., LiveServer]) -> LiveServer:
    """The service with the synthetic patients and an empty store."""
    return start_server()


@pytest.fixture
def chart(page: Page, live_server: LiveServer) -> Page:
    """The chart of a patient with a card, opened and answered."""
    page.goto(f"{live_server.url}/chart/{STEROID_MYOPATHY}")
    expect(page.locator("article.card")).not_to_have_count(0)
    return page
