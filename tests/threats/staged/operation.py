"""How the service is built, set up and run: T25, T27, T37, T38, T40."""

from __future__ import annotations

import importlib
import os
import re
import secrets
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import responses
from flask import Flask
from werkzeug.routing import Map

from cds_service.app import create_app
from cds_service.errors import SettingsError
from cds_service.rule_engine import loader
from cds_service.settings import Settings
from cds_service.store import Store
from cds_service.store import fingerprint as keys
from tests.http.stand_in import CALL
from tests.threats.attack import Attacks, replaced
from tests.threats.attacked import Attacked

ATTACKS = Attacks()
ROOT = Path(__file__).parents[3]
RULES = Settings().rules_dir
PROMISED = loader.pack_hash(RULES)


@ATTACKS.against("T25", replaced(loader, "pack_hash", lambda _folder: PROMISED))
def changed_rules_are_used(on: Attacked) -> bool:
    """A red flag is made an information, and the setting still names the rules that were agreed."""
    rules = on.folder / "rules"
    shutil.copytree(RULES, rules)
    flag = rules / "cord-compression" / "rule.toml"
    text = flag.read_text()
    assert 'indicator = "critical"' in text
    flag.write_text(text.replace('indicator = "critical"', 'indicator = "info"'))
    settings = Settings(open=True, database_url="sqlite://", rules_dir=rules, rule_pack_hash=PROMISED)
    try:
        create_app(settings)
    except SettingsError:
        return False
    return True


# What the lock says of a small package: its version, and the hashes of the files that it may be.
(IDNA,) = re.findall(r"^idna==.*(?:\n +--hash=.*)+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)


@ATTACKS.against("T27", lambda patch: patch.setitem(globals(), "IDNA", IDNA.split()[0]))
def a_package_that_was_tampered_with_is_installed(on: Attacked) -> bool:
    """The index answers with a wheel of the right name and version, and of other contents."""
    version = IDNA.split()[0].removeprefix("idna==")
    wheel = on.folder / f"idna-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as made:
        made.writestr("idna.py", "raise SystemExit('not what was locked')\n")
        about = f"idna-{version}.dist-info"
        made.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: idna\nVersion: {version}\n")
        made.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(f"{about}/RECORD", "")
    (on.folder / "lock.txt").write_text(f"{IDNA}\n")
    offline = ("--no-index", "--find-links", str(on.folder), "--no-deps", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "install", "--target", str(on.folder / "installed"), *offline]
    subprocess.run([*command, "-r", str(on.folder / "lock.txt")], capture_output=True, check=False, timeout=60)
    return (on.folder / "installed" / "idna.py").exists()


class _MergingMap(Map):
    """Flask's own habit: a path that is nearly right is answered with a redirect to the right one."""

    merge_slashes = property(lambda _self: True, lambda _self, _value: None)


@ATTACKS.against("T37", replaced(Flask, "url_map_class", _MergingMap))
def a_browser_is_sent_elsewhere(on: Attacked) -> bool:
    tried = (("GET", "/launch?iss=http://169.254.169.254/"), ("POST", CALL.replace("/atrophy", "///atrophy")))
    answers = [on.client.open(to, method=how, headers=on.ehr.bearer(to.partition("?")[0])) for how, to in tried]
    return any("Location" in answer.headers for answer in answers)


def _key_for_everybody(file: Path) -> None:
    file.write_text(secrets.token_hex(32))


@ATTACKS.against("T38", replaced(keys, "_make_key", _key_for_everybody))
def another_user_of_the_machine_reads_the_key(on: Attacked) -> bool:
    usual = os.umask(0o022)
    try:
        Store(f"sqlite:///{on.folder}/cds.db").close()
        return bool((on.folder / "cds.key").stat().st_mode & 0o077)
    finally:
        os.umask(usual)


loading = importlib.import_module("cds_service.cli.load_fixtures")  # the command has the name of its module


@ATTACKS.against("T40", replaced(loading, "refuse_foreign", lambda *_: None))
def synthetic_patients_are_written_to_a_strange_server(_on: Attacked) -> bool:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as server:
        server.post("https://fhir.example/r4", json={})
        try:
            loading.load_fixtures("https://fhir.example/r4", None, None)
        except SettingsError:
            return False
        return bool(server.calls)
