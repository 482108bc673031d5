"""What must survive a restart: the cards that were shown, what became of them, and what was switched off."""

from cds_service.store.cards import ShownCard, Store, open_store
from cds_service.store.explained import KeptCard
from cds_service.store.memory import Answer, PatientMemory
from cds_service.store.rule_days import Answered, RuleDay
from cds_service.store.switches import EVERY, Cause, Switch

__all__ = [
    "EVERY",
    "Answer",
    "Answered",
    "Cause",
    "KeptCard",
    "PatientMemory",
    "RuleDay",
    "ShownCard",
    "Store",
    "Switch",
    "open_store",
]
