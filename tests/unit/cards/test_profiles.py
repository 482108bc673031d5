"""Client profiles: what a CDS Client can show."""

from __future__ import annotations

import pytest

from cds_service.cards.profiles import ClientProfile, profile_named
from cds_service.errors import SettingsError


def test_the_sandbox_needs_a_card_where_others_get_an_error() -> None:
    """Measured: it shows "All clear!" for every status but 200."""
    assert profile_named("sandbox").errors_as_card
    assert not profile_named("cds-hooks-2.0").errors_as_card


def test_an_unknown_profile_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"no client profile 'epic9'. Profiles: cds-hooks-2.0, sandbox"):
        profile_named("epic9")


def test_gap_card_and_evaluation_extension_are_never_both_off() -> None:
    """P-04: both off, and a gap would look like no finding."""
    ClientProfile(name="quiet", gap_card=False)
    ClientProfile(name="small", evaluation_extension=False)
    with pytest.raises(SettingsError, match="only while the extension is on"):
        ClientProfile(name="blind", gap_card=False, evaluation_extension=False)
