"""Everything that can be set, read once from the environment. Each setting is explained in docs/settings.md."""

from __future__ import annotations

import difflib
import os
import zoneinfo
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

import msgspec

from cds_service.errors import SettingsError

PREFIX = "ATROPHY_CDS_"
LONGEST_DEADLINE = 60  # seconds; a client that waits longer has long given up (P-10)
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_PACKAGE = Path(__file__).parent
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})


def _shipped_folder(name: str) -> Path:
    """``rules`` or ``fixtures``: inside an installed package, beside it in a checkout."""
    installed = _PACKAGE / "shipped" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


class Settings(msgspec.Struct, frozen=True):
    """One value per setting. Wrong or contradictory values raise :class:`SettingsError` on construction.

    The variable of a setting is ``ATROPHY_CDS_`` and its name in capitals, without ``_dir``:
    ``rules_dir`` is ``ATROPHY_CDS_RULES``.
    """

    open: bool = False
    demo: bool = False
    clients_file: Path | None = None
    public_url: str | None = None
    profile: str = "cds-hooks-2.0"
    rules_dir: Path = msgspec.field(default_factory=lambda: _shipped_folder("rules"))
    fixtures_dir: Path = msgspec.field(default_factory=lambda: _shipped_folder("fixtures"))
    database_url: str = "sqlite:///var/atrophy-cds.db"
    key_file: Path | None = None
    site_zone: str = "UTC"
    deadline_seconds: float = 1.8
    max_body_bytes: int = 16 * 1024 * 1024
    allow_origins: tuple[str, ...] = ()
    rules_off: tuple[str, ...] = ()
    rule_pack_hash: str | None = None
    keep_comments: bool = False
    retention_days: int = 730
    source_label: str = "Atrophy CDS"
    source_url: str | None = None
    source_icon_url: str | None = None
    timeline_url: str | None = None

    def __post_init__(self) -> None:
        _require(self.profile.strip() != "", "profile", "must name a client profile")
        _require(self.rules_dir.is_dir(), "rules_dir", "must be a folder that exists")
        _require(
            0 < self.deadline_seconds <= LONGEST_DEADLINE,
            "deadline_seconds",
            f"must be above 0 and at most {LONGEST_DEADLINE}",
        )
        _require(self.max_body_bytes > 0, "max_body_bytes", "must be above 0")
        _require(self.retention_days > 0, "retention_days", "must be above 0")
        _require(self.source_label.strip() != "", "source_label", "must not be empty (C46)")
        _require(_is_zone(self.site_zone), "site_zone", "must be an IANA time zone such as Europe/London")
        _require(not (self.open and self.clients_file), "open", "and ATROPHY_CDS_CLIENTS_FILE exclude each other")
        for name in ("public_url", "source_url", "source_icon_url", "timeline_url"):
            url = getattr(self, name)
            _require(url is None or _is_public_url(url), name, "must be an absolute https URL (C47)")
        _require(
            all(map(is_origin, self.allow_origins)), "allow_origins", "must list origins such as https://ehr.example"
        )

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        """The time zone of the site (A-65)."""
        return zoneinfo.ZoneInfo(self.site_zone)

    def today(self) -> date:
        """The calendar day at the site."""
        return datetime.now(self.zone).date()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read every ``ATROPHY_CDS_*`` variable. A misspelt name is an error: it would silently have no effect."""
        _refuse_misspelt(environ)
        values: dict[str, Any] = {
            field: _READERS[kind](field, environ[variable(field)])
            for field, kind in get_type_hints(cls).items()
            if variable(field) in environ
        }
        return cls(**values)


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + field.removesuffix("_dir").upper()


def is_origin(text: str) -> bool:
    """Whether a text is one web origin as browsers write it: scheme, host and optional port (never ``*``)."""
    try:
        parts = urlsplit(text)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return False
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    return parts.scheme in ("http", "https") and text.lower() == f"{parts.scheme}://{host}{port}" and "*" not in text


def _require(holds: bool, field: str, demand: str) -> None:
    if not holds:
        raise SettingsError(f"{variable(field)} {demand}.")


def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder of zones
        return False
    return True


def _is_public_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and not parts.username


def _refuse_misspelt(environ: Mapping[str, str]) -> None:
    known = [variable(field) for field in get_type_hints(Settings)]
    for name in environ:
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
            if near:
                raise SettingsError(f"{name} is not a setting. Did you mean {near[0]}?")


def _read_bool(field: str, text: str) -> bool:
    word = text.strip().lower()
    _require(word in _TRUE | _FALSE, field, "must be true or false")
    return word in _TRUE


def _read_int(field: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise SettingsError(f"{variable(field)} must be a whole number.") from None


def _read_float(field: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SettingsError(f"{variable(field)} must be a number.") from None


def _read_optional_path(_field: str, text: str) -> Path | None:
    return Path(text) if text else None


def _read_list(_field: str, text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


_READERS: dict[object, Callable[[str, str], Any]] = {
    bool: _read_bool,
    int: _read_int,
    float: _read_float,
    str: lambda _field, text: text,
    str | None: lambda _field, text: text or None,
    Path: lambda _field, text: Path(text),
    Path | None: _read_optional_path,
    tuple[str, ...]: _read_list,
}
