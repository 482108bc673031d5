"""From FHIR resources to entries of the record: one module for each kind of resource."""
