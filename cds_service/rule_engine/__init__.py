"""Rules as files: read, checked, compiled once, evaluated against a patient's facts. Knows no FHIR and no HTTP."""
