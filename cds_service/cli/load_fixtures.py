"""``atrophy-cds load-fixtures``: writes the synthetic patients of ``fixtures/`` to a FHIR R4 server (T40)."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec
import requests
from rich.progress import track

from cds_service.errors import AtrophyCdsError, SettingsError
from cds_service.fixture_patients import FixturePatient, load_fixture_patients
from cds_service.settings import LOOPBACK_HOSTS, Settings

_SECONDS = 60  # for one patient; HAPI takes under one
_SUCCESS = range(200, 300)
_JSON = "application/fhir+json"


class NotWritten(AtrophyCdsError):
    """The server did not take a patient. The message holds what it said: the patients are synthetic."""


def load_fixtures(base: str, write_to: str | None, token_file: Path | None) -> int:
    """Write every synthetic patient, dated around today; as often as you like, each replaces itself.

    Raises SettingsError for a server that must not be written to, NotWritten for the first patient that is refused.
    """
    refuse_foreign(base, write_to)
    settings = Settings.from_environment()
    patients = load_fixture_patients(settings.fixtures_dir, settings.today())
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update({"Accept": _JSON, "Content-Type": _JSON})
        if token_file is not None:  # T38: never as an argument, which every user of the machine can read
            session.headers["Authorization"] = f"Bearer {token_file.read_text().strip()}"
        for patient in track(patients, description="Writing patients"):
            write(session, base, patient)
    click.echo(f"{len(patients)} synthetic patients written")
    return 0


def refuse_foreign(base: str, write_to: str | None) -> None:
    """Raise SettingsError unless the server is on this machine, or its host was named beside it (T40)."""
    host = urlsplit(base).hostname
    if urlsplit(base).scheme not in ("http", "https") or not host:
        raise SettingsError(f"{base!r} is no http or https address.")
    if host not in LOOPBACK_HOSTS and host != write_to:
        raise SettingsError(
            f"{host} is not this machine. To write synthetic patients there, say so: --write-to {host}. "
            "Never do that to a server with real patients."
        )


def write(session: requests.Session, base: str, patient: FixturePatient) -> None:
    """One patient with all that belongs to it, in one transaction. Raises NotWritten."""
    try:
        body = msgspec.json.encode(patient.bundle)
        response = session.post(base.rstrip("/"), data=body, timeout=_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        raise NotWritten(f"{patient.id}: the server cannot be reached ({type(error).__name__}).") from None
    if response.status_code not in _SUCCESS:
        raise NotWritten(f"{patient.id}: {response.status_code} {_said(response)}")


def _said(response: requests.Response) -> str:
    try:
        issues = response.json()["issue"]
        return "; ".join(str(issue.get("diagnostics") or issue.get("code")) for issue in issues)[:500]
    except (ValueError, KeyError, TypeError, AttributeError):
        return "without an OperationOutcome"
