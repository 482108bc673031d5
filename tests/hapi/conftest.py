"""A real HAPI FHIR server for the tests in this folder, started once and stopped at the end."""

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from cds_service.cli.load_fixtures import write
from cds_service.fixture_patients import FixturePatient, load_fixture_patients
from cds_service.settings import Settings
from docker.hapi.run import HapiServer, missing
from tests.hapi.ehr_server import FHIR, Altering, EhrServer, Service, altering

HERE = Path(__file__).parent
HAPI_REQUIRED = os.environ.get("ATROPHY_CDS_REQUIRE_HAPI") == "1"
NOW = datetime.now(UTC)
_started: list[HapiServer] = []


def pytest_collection_finish(session: pytest.Session) -> None:
    """It takes half a minute to start: begin while other tests run."""
    wanted = any(HERE in item.path.parents for item in session.items) and not session.config.option.collectonly
    if wanted and missing() is None:
        _started.append(HapiServer(Path(tempfile.mkdtemp(prefix="hapi-"))))


def pytest_sessionfinish() -> None:
    """No Java process is left, whatever happened."""
    while _started:
        server = _started.pop()
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A missing HAPI is told in one line; where it is required, a skipped test is a failed one."""
    report = yield
    if not report.skipped or HERE not in item.path.parents:
        return report
    reason = report.longrepr[2]
    if HAPI_REQUIRED:
        report.outcome = "failed"
        report.longrepr = f"{reason} (ATROPHY_CDS_REQUIRE_HAPI=1: a skip is a failure)"
    else:
        report.longrepr = (str(HERE), None, reason)  # the same place for every test, so pytest counts them together
    return report


@pytest.fixture(scope="session")
def patients() -> tuple[FixturePatient, ...]:
    return load_fixture_patients(Settings().fixtures_dir, NOW.date())


@pytest.fixture(scope="session")
def hapi(patients: tuple[FixturePatient, ...]) -> EhrServer:
    """The server with the synthetic patients in it, and what an EHR would do with it."""
    if not _started:
        pytest.skip(missing() or "HAPI FHIR was not started")
    base = _started[0].url()
    with requests.Session() as session:
        session.headers.update({"Accept": FHIR, "Content-Type": FHIR})
        for patient in patients:
            write(session, base, patient)
    return EhrServer(base)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """The service in open mode with the time to read thousands of resources."""
    with Service(tmp_path, NOW) as running:
        yield running


@pytest.fixture
def proxy(hapi: EhrServer) -> Iterator[Altering]:
    """A way to the server that leads through us."""
    with altering(hapi.base) as running:
        yield running
