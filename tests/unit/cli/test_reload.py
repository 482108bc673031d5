"""B-52: whatever is wrong with the files, reading them again changes nothing and stops nothing; the log says where."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cds_service.app import read_files
from cds_service.cli.reload import Reread
from cds_service.settings import Settings
from cds_service.store import Store
from tests.ehr import PUBLIC_URL, Ehr, write_clients

ROOT = Path(__file__).parents[3]


class Site:
    """Rules and clients of one's own, read once."""

    def __init__(self, folder: Path) -> None:
        self.rules = folder / "rules"
        shutil.copytree(ROOT / "rules", self.rules)
        self.clients = write_clients(folder, Ehr())
        self.database = f"sqlite:///{folder}/cds.db"
        self.settings = Settings(
            rules_dir=self.rules, clients_file=self.clients, public_url=PUBLIC_URL, database_url=self.database
        )
        self.files = Reread(self.settings, read_files(self.settings))

    @property
    def bands(self) -> Path:
        return self.rules / "bands.toml"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


BREAKS: dict[str, tuple[Callable[[Site], object], str]] = {
    "no TOML": (lambda site: site.bands.write_text("no TOML"), "bands.toml:1: "),
    "not UTF-8": (lambda site: site.bands.write_bytes(b"\xff\xfe"), "bands.toml:1: "),
    "a value set that is not UTF-8": (
        lambda site: (site.rules / "value_sets" / "weakness.csv").write_bytes(b"\xff"),
        "weakness.csv:1: ",
    ),
    "a file that is gone": (lambda site: site.bands.unlink(), "bands.toml:1: "),
    "a folder in place of a file": (lambda site: (site.bands.unlink(), site.bands.mkdir()), "bands.toml:1: "),
    "a folder that is gone": (lambda site: shutil.rmtree(site.rules), "rules/"),
    "a client's key that is gone": (lambda site: (site.clients.parent / "ehr.jwks.json").unlink(), "ehr.jwks.json"),
    "clients that are no TOML": (lambda site: site.clients.write_text("["), "clients.toml"),
}


@pytest.mark.parametrize("way", BREAKS)
def test_what_cannot_be_used_leaves_what_was_read(site: Site, capsys: pytest.CaptureFixture[str], way: str) -> None:
    before = site.files.newest
    spoil, place = BREAKS[way]
    spoil(site)
    assert not site.files.again()
    assert site.files.newest is before
    (line,) = logged(capsys)
    assert (line["event"], line["level"]) == ("rules-kept", "error")
    assert place in line["problem"]
    store = Store(site.database)
    store.migrate()
    assert list(store.audit_entries()) == []
    store.close()


def test_an_error_of_our_own_stops_nothing_either(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_settings: Settings) -> None:
        raise KeyError("a fault in the loader")

    monkeypatch.setattr("cds_service.cli.reload.read_files", fail)
    assert not site.files.again()


def test_a_pack_that_the_site_has_not_pinned_is_not_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ATROPHY_CDS_RULE_PACK_HASH."""
    site = Site(tmp_path)
    pinned = site.files.newest.pack.knowledge.pack_hash
    files = Reread(Settings(rules_dir=site.rules, clients_file=site.clients, rule_pack_hash=pinned), site.files.newest)
    site.bands.write_text(site.bands.read_text() + "# changed\n")
    assert not files.again()
    assert "RULE_PACK_HASH" in logged(capsys)[0]["problem"]


def test_a_store_in_trouble_does_not_keep_the_rules_back(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    Path(site.database.removeprefix("sqlite:///")).write_bytes(b"no database at all" * 100)
    site.bands.write_text(site.bands.read_text() + "# changed\n")
    assert site.files.again()
    assert [line["event"] for line in logged(capsys)] == ["rules-reloaded", "rules-reload-not-audited"]
