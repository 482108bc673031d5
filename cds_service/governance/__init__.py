"""Governance: who is shown what a rule says. Switches, silent mode, bands and alert budgets (B-25, B-52)."""

from cds_service.governance.budget import Budget, Room
from cds_service.governance.silent_mode import SilentMode

__all__ = ["Budget", "Room", "SilentMode"]
