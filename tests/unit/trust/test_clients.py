"""The file of the CDS Clients: what a site agreed, and every oddity in it stops the start (P-25, P-30, P-31)."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds_service.cli.clients import check_clients
from cds_service.errors import SettingsError
from cds_service.trust import read_clients
from tests.ehr import Ehr, write_clients

ROOT = Path(__file__).parents[3]
WHOLE = """
[[client]]
id = "ehr"
issuer = "https://ehr.example/cds"
keys_file = "ehr.jwks.json"
deadline_seconds = 1.5
calls_per_minute = 10
origins = ["https://ehr.example"]
link_hosts = ["apps.ehr.example"]
timeline_url = "https://apps.ehr.example/launch"

[[client.key_sets]]
url = "https://ehr.example/jwks.json"
ca_bundle = "ca.pem"

[[client.fhir]]
base = "https://fhir.ehr.example/r4"
aliases = ["https://fhir.ehr.example:443/r4"]
networks = ["10.20.0.0/16"]
"""
ANOTHER = '\n[[client]]\nid = "other"\nissuer = "https://other.example"\nkeys_file = "k"\n'


SAME_BASE = '[[client.fhir]]\nbase = "https://fhir.ehr.example/r4"\nnetworks = ["10.20.0.0/16"]\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "clients.toml"
    path.write_text(text)
    return path


def test_an_entry_is_read_whole(tmp_path: Path) -> None:
    """Files are looked up beside the file of clients."""
    (client,) = read_clients(written(tmp_path, WHOLE))
    assert (client.id, client.issuer, client.deadline_seconds) == ("ehr", "https://ehr.example/cds", 1.5)
    assert client.fhir[0].base == "https://fhir.ehr.example/r4"
    assert client.keys_file == str(tmp_path / "ehr.jwks.json")
    assert client.key_sets[0].ca_bundle == str(tmp_path / "ca.pem")


def test_the_example_that_is_shipped_can_be_used() -> None:
    (client,) = read_clients(ROOT / "docker" / "clients.example.toml")
    assert client.key_sets
    assert client.fhir


@pytest.mark.parametrize(
    ("more", "repeat", "said"),
    [("", "until-answered", "shown again at each call"), ('repeat = "once"', "once", "hidden while unchanged")],
)
def test_a_16_whether_an_unanswered_card_is_shown_again_is_agreed_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: str, repeat: str, said: str
) -> None:
    path = write_clients(tmp_path, Ehr(), more)
    (client,) = read_clients(path)
    assert client.repeat == repeat
    assert check_clients(path) == 0
    assert said in " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_one_issuer_may_serve_several_tenants(tmp_path: Path) -> None:
    text = WHOLE.replace("keys_file", 'tenants = ["a", "b"]\nkeys_file')
    second = ANOTHER.replace("https://other.example", "https://ehr.example/cds") + 'tenants = ["c"]\n'
    assert len(read_clients(written(tmp_path, text + second))) == 2


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('id = "ehr"', 'id = "ehr"\ncolour = "red"', "colour"),
        ('id = "ehr"', 'id = "The EHR"', "small letters"),
        ('id = "ehr"', 'id = "open"', "open mode"),
        ('issuer = "https://ehr.example/cds"', "", "issuer"),
        ('keys_file = "ehr.jwks.json"', 'keys_file = "ehr.jwks.json"\nprofile = "mine"', "no client profile 'mine'"),
        ("deadline_seconds = 1.5", "deadline_seconds = 0", "deadlines are above 0"),
        ("deadline_seconds = 1.5", 'deadline_seconds = "soon"', "deadline_seconds"),
        ("calls_per_minute = 10", "calls_per_minute = 0", "calls_per_minute"),
        ("calls_per_minute = 10", "max_body_bytes = -1", "max_body_bytes"),
        ("calls_per_minute = 10", 'accepted_gaps = ["labs"]', "accepted_gaps"),
        ("calls_per_minute = 10", 'repeat = "never"', "repeat"),
        ('["https://ehr.example"]', '["https://ehr.example/"]', "origins"),
        ('["https://ehr.example"]', '["*"]', "origins"),
        ('"apps.ehr.example"', '"https://apps.ehr.example"', "link_hosts"),
        ('"https://apps.ehr.example/launch"', '"https://other.example/launch"', "timeline_url"),
        ('"https://apps.ehr.example/launch"', '"http://apps.ehr.example/launch"', "timeline_url"),
        ("https://fhir.ehr.example/r4", "http://fhir.ehr.example/r4", "insecure_http"),
        ('networks = ["10.20.0.0/16"]', "insecure_http = true", "insecure_http"),
        ('networks = ["10.20.0.0/16"]', 'key = "k.pem"', "needs its `certificate`"),
        ('networks = ["10.20.0.0/16"]', 'networks = ["10.20.0.1/16"]', "host bits"),
        ('networks = ["10.20.0.0/16"]', 'networks = ["169.254.169.254"]', "never contacted"),
        ('networks = ["10.20.0.0/16"]', 'networks = ["fe80::/64"]', "never contacted"),
        ("https://fhir.ehr.example/r4", "https://u@fhir.ehr.example/r4", "read in one way only"),
        ("https://fhir.ehr.example/r4", "https://0x7f.1/r4", "read in one way only"),
        ('"https://fhir.ehr.example:443/r4"', '"fhir.ehr.example"', "read in one way only"),
        ("https://fhir.ehr.example/r4", "https://ehr.example/r4", "one host and must have the same"),
        ("[[client.fhir]]", "[[client.fhir", "clients.toml"),
    ],
)  # fmt: skip
def test_an_oddity_stops_the_start(tmp_path: Path, old: str, new: str, problem: str) -> None:
    """The message names the file and what is wrong."""
    assert old in WHOLE
    with pytest.raises(SettingsError, match=problem) as caught:
        read_clients(written(tmp_path, WHOLE.replace(old, new)))
    assert "clients.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "client"),
        ('[[client]]\nid = "a"\nissuer = "x"\n', "no keys"),
        ('[[client]]\nid = "a"\nissuer = "x"\nkeys_file = "k"\nanonymous_fhir = true\n', "anonymous_fhir"),
        (WHOLE + ANOTHER.replace('"other"', '"ehr"'), "two clients have the id"),
        (WHOLE + ANOTHER.replace("https://other.example", "https://ehr.example/cds"), "different `tenants`"),
        (WHOLE + SAME_BASE, "twice"),
        (WHOLE + ANOTHER + '[[client.key_sets]]\nurl = "https://ehr.example/jwks.json"\n', "in two ways"),
        (WHOLE + ANOTHER + SAME_BASE + 'ca_bundle = "ca.pem"\n', "in two ways"),
    ],
)
def test_a_contradiction_stops_the_start(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        read_clients(written(tmp_path, text))


def test_a_file_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_clients(tmp_path / "none.toml")
