"""What the service asks for: prefetch templates for CDS Clients, and its own fetching of what they left out (C31)."""

from cds_service.prefetch.access import OPEN_MODE, FetchTerms
from cds_service.prefetch.completion import complete
from cds_service.prefetch.plan import PrefetchPlan, Query, Reads, prefetch_plan
from cds_service.prefetch.template_lint import lint

__all__ = ["OPEN_MODE", "FetchTerms", "PrefetchPlan", "Query", "Reads", "complete", "lint", "prefetch_plan"]
