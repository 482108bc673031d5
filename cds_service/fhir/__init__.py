"""FHIR R4 as it comes from CDS Clients: reading it, and asking their servers for it."""
