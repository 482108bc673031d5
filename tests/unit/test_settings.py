"""Settings are typed, read once, documented one by one, and wrong ones stop the start."""

import re
from pathlib import Path

import msgspec
import pytest

from cds_service.errors import SettingsError
from cds_service.settings import Settings, is_origin, variable

ROOT = Path(__file__).parents[2]
FIELDS = tuple(field.name for field in msgspec.structs.fields(Settings))


def read(**variables: str) -> Settings:
    return Settings.from_environment(variables)


def test_nothing_set_gives_a_service_that_is_not_open() -> None:
    settings = read()

    assert settings.open is False
    assert settings.database_url == "sqlite:///var/atrophy-cds.db"
    assert settings.site_zone == "UTC"
    assert settings.deadline_seconds == 1.8  # P-10
    assert settings.keep_comments is False  # P-22


def test_rules_and_fixtures_of_a_checkout_are_found_without_a_setting() -> None:
    assert read().rules_dir == ROOT / "rules"
    assert read().fixtures_dir == ROOT / "fixtures"


@pytest.mark.parametrize("word", ["1", "true", "Yes", " on "])
def test_true_words(word: str) -> None:
    assert read(ATROPHY_CDS_OPEN=word).open is True


@pytest.mark.parametrize("word", ["0", "false", "No", "off", ""])
def test_false_words(word: str) -> None:
    assert read(ATROPHY_CDS_OPEN=word).open is False


def test_every_kind_of_setting_is_read(tmp_path: Path) -> None:
    settings = read(
        ATROPHY_CDS_RULES=str(tmp_path),
        ATROPHY_CDS_KEY_FILE=str(tmp_path / "key"),
        ATROPHY_CDS_DEADLINE_SECONDS="0.4",
        ATROPHY_CDS_MAX_BODY_BYTES="1000",
        ATROPHY_CDS_ALLOW_ORIGINS="https://ehr.example, http://10.0.0.1:8080",
        ATROPHY_CDS_SOURCE_URL="https://cds.example/about",
    )

    assert settings.rules_dir == tmp_path
    assert settings.key_file == tmp_path / "key"
    assert settings.deadline_seconds == 0.4
    assert settings.max_body_bytes == 1000
    assert settings.allow_origins == ("https://ehr.example", "http://10.0.0.1:8080")
    assert settings.source_url == "https://cds.example/about"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ATROPHY_CDS_OPEN", "maybe"),
        ("ATROPHY_CDS_PROFILE", " "),
        ("ATROPHY_CDS_RULES", "/no/such/folder"),
        ("ATROPHY_CDS_SITE_ZONE", "Mars/Olympus"),
        ("ATROPHY_CDS_SITE_ZONE", "Europe"),
        ("ATROPHY_CDS_SITE_ZONE", "../../etc/passwd"),
        ("ATROPHY_CDS_DEADLINE_SECONDS", "soon"),
        ("ATROPHY_CDS_DEADLINE_SECONDS", "0"),
        ("ATROPHY_CDS_DEADLINE_SECONDS", "nan"),
        ("ATROPHY_CDS_DEADLINE_SECONDS", "61"),
        ("ATROPHY_CDS_MAX_BODY_BYTES", "8 MB"),
        ("ATROPHY_CDS_MAX_BODY_BYTES", "0"),
        ("ATROPHY_CDS_ALLOW_ORIGINS", "*"),
        ("ATROPHY_CDS_ALLOW_ORIGINS", "https://ehr.example/"),
        ("ATROPHY_CDS_SOURCE_LABEL", ""),
        ("ATROPHY_CDS_SOURCE_URL", "http://cds.example"),
        ("ATROPHY_CDS_SOURCE_URL", "/about"),
        ("ATROPHY_CDS_SOURCE_URL", "https://[::1"),
        ("ATROPHY_CDS_SOURCE_ICON_URL", "https://user@cds.example/icon.png"),
    ],
)
def test_a_value_that_cannot_be_used_stops_the_start_and_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read(**{name: value})


def test_a_misspelt_name_is_not_silently_ignored() -> None:
    with pytest.raises(SettingsError, match=r"ATROPHY_CDS_DATABSE_URL.*ATROPHY_CDS_DATABASE_URL"):
        read(ATROPHY_CDS_DATABSE_URL="sqlite://")


def test_a_variable_that_resembles_no_setting_is_somebody_elses() -> None:
    assert read(ATROPHY_CDS_REQUIRE_BROWSER="1") == read()


def test_today_is_the_day_at_the_site() -> None:
    eastmost, westmost = (read(ATROPHY_CDS_SITE_ZONE=zone).today() for zone in ("Etc/GMT-14", "Etc/GMT+12"))

    assert (eastmost - westmost).days in (1, 2)  # 26 hours apart: never the same day


def test_settings_do_not_change_once_read() -> None:
    with pytest.raises(AttributeError):
        read().open = True  # type: ignore[misc]  # what the test is about


@pytest.mark.parametrize("field", FIELDS)
def test_every_setting_is_documented_with_its_variable(field: str) -> None:
    rows = re.findall(r"^\| `(ATROPHY_CDS_\w+)` \| (.+?) \| (.+) \|$", (ROOT / "docs/settings.md").read_text(), re.M)
    assert variable(field) in {name for name, _default, _text in rows}


def test_nothing_else_is_documented_as_a_setting() -> None:
    documented = re.findall(r"^\| `(ATROPHY_CDS_\w+)`", (ROOT / "docs/settings.md").read_text(), re.M)
    assert sorted(documented) == sorted(map(variable, FIELDS))


def test_documented_defaults_are_the_real_ones() -> None:
    page = (ROOT / "docs/settings.md").read_text()
    for field in ("profile", "database_url", "site_zone", "deadline_seconds", "max_body_bytes", "source_label"):
        assert f"| `{variable(field)}` | `{getattr(read(), field)}` |" in page


@pytest.mark.parametrize("text", ["http://localhost:8000", "https://ehr.example", "http://[::1]:5173"])
def test_origins(text: str) -> None:
    assert is_origin(text)


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "null",
        "",
        "ehr.example",
        "https://ehr.example/",
        "https://a@b",
        "https://*.example",
        "ftp://a",
        "http://a:b",
    ],
)
def test_texts_that_are_no_origins(text: str) -> None:
    assert not is_origin(text)
