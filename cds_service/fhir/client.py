"""FHIR client (to come)."""
class FhirClient: ...
def open_mode_allows(url: str) -> bool:
    return False
