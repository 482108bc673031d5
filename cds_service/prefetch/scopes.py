"""What a token lets us read: SMART scopes, versions 1 and 2, and texts that are none (C26, C39)."""

from __future__ import annotations

import re
from enum import Enum
from typing import Literal

# https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
_SCOPE = re.compile(r"(?:patient|user|system)/(\*|[A-Za-z]+)\.(read|write|\*|c?r?u?d?s?)(\?.*)?")
_NO_RESOURCE = re.compile(r"openid|profile|fhirUser|(?:offline|online)_access|launch(?:/\S+)?")
_VERSION_1 = {"read": "rs", "write": "", "*": "rs"}
ANY = "*"


class Grant(Enum):
    """Whether a type of resource may be read."""

    WHOLE = "whole"
    PART = "part"  # a scope with a query part (P-02)
    NONE = "none"
    UNKNOWN = "unknown"  # the text does not tell: Epic names its own scopes, with spaces and brackets


def grant(scope: str, resource: str, access: Literal["r", "s"]) -> Grant:
    """Whether ``scope`` (separated by spaces) lets ``resource`` be read (r) or searched (s).

    NONE only when every word is understood and none grants it: when in doubt the server decides.
    """
    unknown = not scope.strip()
    part = False
    for word in scope.split():
        match = _SCOPE.fullmatch(word)
        if match is None:
            unknown = unknown or not _NO_RESOURCE.fullmatch(word)
        elif match[1] in (resource, ANY) and access in _VERSION_1.get(match[2], match[2]):
            if not match[3]:
                return Grant.WHOLE
            part = True
    if part:
        return Grant.PART
    return Grant.UNKNOWN if unknown else Grant.NONE
