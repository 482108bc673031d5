"""The discovery document: what this service is called, when to call it and what to send along (C6-C15)."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from cds_service.cds_hooks.request import PATIENT_VIEW

SERVICE_ID = "atrophy-risk"
TITLE = "Muscle atrophy and weakness check"
DESCRIPTION = (
    "Reads the chart for muscle wasting and weakness, their likely causes and their risks, and suggests what to "
    "check next. Decision support for licensed clinicians, not diagnosis: no card is no proof of no risk."
)
USAGE_REQUIREMENTS = (
    "FHIR R4. A prefetch key that is left out is read from fhirServer; without patient and conditions the answer is "
    "412. An empty list of cards means that the rules ran: the extension of the response says what each rule found and "
    "which sources were incomplete."
)
PATIENT_VIEW_VERSION = "1.0"  # C12: the published version of the hook
SPECIFICATION_3 = "3.0.0"
VERSION_3 = "3.0"


class Service(BaseModel):
    """One entry of ``services``. ``version`` and ``hookVersion`` belong to CDS Hooks 3.0 only (C11, C12)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hook: str
    id: str
    title: str
    description: str
    prefetch: dict[str, str] | None = None
    usageRequirements: str | None = None  # noqa: N815 - the specification's own name
    version: str | None = None
    hookVersion: str | None = None  # noqa: N815 - the specification's own name


class Discovery(BaseModel):
    """The answer of ``GET {base}/cds-services`` (C7)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    services: tuple[Service, ...]


def discovery_document(cds_hooks: str, prefetch: Mapping[str, str], version: str = SPECIFICATION_3) -> bytes:
    """The JSON document for clients of one version, "2.0" or "3.0"; ``prefetch`` maps our keys to templates (C13).

    ``version`` is the version of the specification told to clients of 3.0. The page says semantic version and its
    logical model "STU1/2/3" (C11): we follow the page.
    """
    is_3 = cds_hooks == VERSION_3
    service = Service(
        hook=PATIENT_VIEW,
        id=SERVICE_ID,
        title=TITLE,
        description=DESCRIPTION,
        prefetch=dict(prefetch) or None,
        usageRequirements=USAGE_REQUIREMENTS,
        version=version if is_3 else None,
        hookVersion=PATIENT_VIEW_VERSION if is_3 else None,
    )
    return Discovery(services=(service,)).model_dump_json(exclude_none=True).encode()
