"""What a CDS Client can show: the profiles that shape an answer (P-04, P-05, C80)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cds_service.errors import SettingsError


class ClientProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of CDS Client. Raises SettingsError when both ways of naming a gap are off (P-04).

    ``errors_as_card``: the client shows errors to nobody, so data that cannot be had gives a card instead of 412.
    ``gap_card``: one info card names what could not be checked. ``card_extension`` and ``evaluation_extension``: the
    machine-readable parts of a card and of the response (P-23).
    """

    name: str
    errors_as_card: bool = False
    gap_card: bool = True
    card_extension: bool = True
    evaluation_extension: bool = True

    def __post_init__(self) -> None:
        if not self.gap_card and not self.evaluation_extension:
            raise SettingsError(f"Client profile {self.name}: the gap card may be off only while the extension is on.")


CDS_HOOKS_2_0 = ClientProfile(name="cds-hooks-2.0")
# The public CDS Hooks Sandbox shows "All clear!" for every status but 200.
SANDBOX = ClientProfile(name="sandbox", errors_as_card=True)
PROFILES: Mapping[str, ClientProfile] = {profile.name: profile for profile in (CDS_HOOKS_2_0, SANDBOX)}


def profile_named(name: str) -> ClientProfile:
    """The profile of that name. Raises SettingsError for any other."""
    try:
        return PROFILES[name]
    except KeyError:
        raise SettingsError(f"There is no client profile {name!r}. Profiles: {', '.join(sorted(PROFILES))}.") from None
