"""What a CDS Client can show: the profiles that shape an answer, read from ``profiles.toml`` (P-04, P-05, C80)."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from cds_service.errors import SettingsError

_FILE = Path(__file__).with_suffix(".toml")


class ClientProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of CDS Client; ``profiles.toml`` explains each field.

    Raises ValueError when both ways of naming a gap are off (P-04).
    """

    title: str
    because: str
    cds_hooks: Literal["2.0", "3.0"] = "2.0"
    errors_as_card: bool = False
    gap_card: bool = True
    card_extension: bool = True
    evaluation_extension: bool = True
    detail: Literal["markdown", "plain"] = "markdown"
    longest_detail: int | None = None
    suggestions: bool = True
    selection_behavior: Literal["any", "at-most-one"] = "any"
    local_order_codes: Literal["required", "optional"] = "optional"
    override_reasons: bool = True
    absolute_links: bool = True
    smart_links: bool = True
    app_context: bool = True

    def __post_init__(self) -> None:
        if not self.gap_card and not self.evaluation_extension:
            raise ValueError("the gap card may be off only while the evaluation extension is on (P-04)")


@functools.cache
def profiles() -> Mapping[str, ClientProfile]:
    """Every profile by name, in the order of the file."""
    return msgspec.toml.decode(_FILE.read_bytes(), type=dict[str, ClientProfile])


def profile_named(name: str) -> ClientProfile:
    """The profile of that name. Raises SettingsError for any other."""
    try:
        return profiles()[name]
    except KeyError:
        known = ", ".join(sorted(profiles()))
        raise SettingsError(f"There is no client profile {name!r}. Profiles: {known}.") from None


CDS_HOOKS_2_0 = profile_named("cds-hooks-2.0")
