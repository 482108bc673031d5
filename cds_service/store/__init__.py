"""What must survive a restart: the cards that were shown and what became of them."""

from cds_service.store.cards import Answer, FeedbackCounts, ShownCard, Store

__all__ = ["Answer", "FeedbackCounts", "ShownCard", "Store"]
