"""What must survive a restart: the cards that were shown and what became of them."""

from cds_service.store.cards import ShownCard, Store
from cds_service.store.explained import KeptCard
from cds_service.store.memory import Answer, PatientMemory

__all__ = ["Answer", "KeptCard", "PatientMemory", "ShownCard", "Store"]
