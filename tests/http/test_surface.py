"""What the service does not have: T28 no administration, T37 no launch, T25 no other rules, T18 no slow matching."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.errors import SettingsError
from cds_service.fixture_patients import hook_request_for, load_fixture_patients
from cds_service.settings import Settings
from tests.http.stand_in import CALL, StandIn

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", ["/metrics", "/admin", "/docs", "/health", "/debug", "/console", "/reload", "/audit"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_t28_nothing_is_administered_over_http(client: FlaskClient, path: str, method: str) -> None:
    assert client.open(path, method=method).status_code == 404


@pytest.mark.parametrize(
    "path", ["/launch", "/launch?iss=http://169.254.169.254/", "/redirect?to=https://evil.example"]
)
def test_t37_there_is_no_launch_and_no_redirect(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert "Location" not in response.headers


def test_t37_an_address_without_a_path_is_not_redirected(app: Flask) -> None:
    """``GET http://evil.example HTTP/1.1``: what a proxy would be sent."""
    response = FlaskClient(app).get("/", base_url="http://localhost", environ_overrides={"PATH_INFO": ""})
    assert response.status_code == 200
    assert "Location" not in response.headers


def test_a_range_that_a_file_has_not_is_no_failure(client: FlaskClient) -> None:
    """C62: 416, not 500."""
    response = client.get("/chart-static/chart.js", headers={"Range": "bytes=99999999-"})
    assert response.status_code == 416


def test_t25_the_hash_of_the_rules_is_in_every_answer_and_any_other_is_refused(
    settings: Settings, tmp_path: Path
) -> None:
    patients = load_fixture_patients(settings.fixtures_dir, datetime.now(UTC).date())
    answer = (
        create_app(settings).test_client().post(CALL, json=hook_request_for(patients[0]), base_url="http://localhost")
    )
    found = answer.get_json()["extension"]["org.atrophy-cds.evaluation"]["rulePack"]
    assert re.fullmatch(r"[0-9a-f]{64}", found)
    create_app(msgspec.structs.replace(settings, rule_pack_hash=found))
    with pytest.raises(SettingsError, match="RULE_PACK_HASH"):
        create_app(msgspec.structs.replace(settings, rule_pack_hash="0" * 64))


def test_t18_a_long_text_costs_time_in_proportion(settings: Settings) -> None:
    """Four times the text takes far less than sixteen times the time, which a quadratic match would take."""
    client = create_app(settings).test_client()
    patient = load_fixture_patients(settings.fixtures_dir, datetime.now(UTC).date())[0]

    def seconds(size: int, text: str) -> float:
        request = json.loads(json.dumps(hook_request_for(patient)))
        for source in ("conditions", "medicationStatements", "observations"):
            for entry in (request["prefetch"][source] or {}).get("entry", []):
                for name in ("code", "medicationCodeableConcept"):
                    if concept := entry["resource"].get(name):
                        concept["text"] = text * (size // len(text))
                        break
                break
        started = time.process_time()
        assert client.post(CALL, json=request, base_url="http://localhost").status_code == 200
        return time.process_time() - started

    for text in ("a", " ", "prednisone ", "*_`[", "-\u202e", "http://a.b ", "((((("):
        seconds(1_000, text)
        assert seconds(1_000_000, text) < 10 * seconds(250_000, text) + 0.05


class TestSupplyChain:
    """T27: hashes for every dependency, an image without build tools whose user owns nothing."""

    @pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
    def test_every_dependency_is_locked_with_hashes(self, name: str) -> None:
        lines = (ROOT / name).read_text().splitlines()
        pinned = [line for line in lines if re.match(r"[a-z0-9]", line)]
        assert pinned
        assert all(re.match(r"[a-z0-9._-]+(\[[a-z,-]+\])?==\S+", line) for line in pinned)
        assert len([line for line in lines if "--hash=sha256:" in line]) >= len(pinned)
        assert not any("://" in line for line in lines)

    def test_the_image_runs_as_a_user_without_a_shell_and_without_build_tools(self) -> None:
        text = (ROOT / "docker" / "Dockerfile").read_text()
        final = text.rpartition("\nFROM ")[2]
        assert re.search(r"^USER atrophy-cds$", final, re.MULTILINE)
        assert "/usr/sbin/nologin" in final
        assert not re.search(r"apt-get|pip install|gcc|git ", final)
        assert "--require-hashes" in text

    def test_compose_gives_the_service_no_more_than_it_needs(self) -> None:
        text = (ROOT / "docker" / "compose.yaml").read_text()
        for line in ("read_only: true", "cap_drop: [ALL]", "no-new-privileges:true"):
            assert line in text


def test_the_stand_in_answers(client: FlaskClient, service: StandIn) -> None:
    """So that the 404s above are those of a service that works."""
    assert client.get("/cds-services").status_code == 200
    assert service.requests == []
