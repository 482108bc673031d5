"""Trust: which CDS Clients may call, how they prove it, and which servers may be contacted for them."""

from cds_service.trust.clients import CdsClient, FhirServer, KeySet, read_clients
from cds_service.trust.outbound import ListedServers, OpenMode, Outbound

__all__ = ["CdsClient", "FhirServer", "KeySet", "ListedServers", "OpenMode", "Outbound", "read_clients"]
