"""Every error of the service, in one tree.

AtrophyCdsError
├── RuleFileError             something in rules/ is wrong: file, line, what to do; stops the start
├── SettingsError             a setting or an option is missing or contradicts another; exit status 2
├── RequestRefused            an HTTP answer that is not 200; carries its status and an OperationOutcome code
│   ├── BadRequest            400 what was sent cannot be read or breaks CDS Hooks (C22, C23, T8, T9)
│   ├── NotAuthenticated      401 no token, or one that is not accepted; never says which (C77)
│   ├── NotAllowed            403 a caller we know may not do this
│   ├── UnknownPath           404 no such service or page (C15)
│   ├── WrongMethod           405
│   ├── DataNotAvailable      412 required data could not be had (C32)
│   ├── TooLarge              413 (T13)
│   ├── WrongContentType      415 (T14)
│   └── TooManyCalls          429 over the limit of this client (T30)
├── StoreUnavailable          the database cannot be read or written now; a call goes on without memory, feedback is 503
└── FhirReadError             a read from the CDS Client's FHIR server failed
    ├── TemporaryFhirError    time-out, connection, 429, 5xx: worth another try within the deadline
    └── FinalFhirError        401, 403, 404, not FHIR: asking again would not help

Messages never hold chart content, ids, URLs or text from another system (P-20).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class AtrophyCdsError(Exception):
    """The root of all errors raised on purpose."""


class RuleFileError(AtrophyCdsError):
    """A file under ``rules/`` that must not be used. The message starts with ``file:line:``."""

    def __init__(self, path: Path, line: int, problem: str) -> None:
        self.path = path
        self.line = line
        self.problem = problem
        super().__init__(f"{path}:{line}: {problem}")


class SettingsError(AtrophyCdsError):
    """The service cannot start as it was configured."""


class RequestRefused(AtrophyCdsError):
    """An answer other than 200. ``status`` is HTTP, ``code`` is from FHIR's issue-type value set."""

    status = 500
    code = "exception"
    headers: Mapping[str, str] = {}


class BadRequest(RequestRefused):
    """400: the body, the context or the prefetch cannot be used."""

    status = 400
    code = "invalid"


class NotAuthenticated(RequestRefused):
    """401: whoever calls has not proved to be a CDS Client. The answer is the same whatever was wrong (C77, T29)."""

    status = 401
    code = "login"
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}

    def __init__(self) -> None:
        super().__init__("A valid token of a known CDS Client is needed.")


class NotAllowed(RequestRefused):
    """403: not for this caller."""

    status = 403
    code = "forbidden"


class UnknownPath(RequestRefused):
    """404: no service or page of that name."""

    status = 404
    code = "not-found"


class WrongMethod(RequestRefused):
    """405: the path exists, the method does not."""

    status = 405
    code = "not-supported"


class DataNotAvailable(RequestRefused):
    """412: data that every answer needs could not be had (C32, P-05)."""

    status = 412
    code = "incomplete"


class TooLarge(RequestRefused):
    """413: the body is over the limit (T13)."""

    status = 413
    code = "too-long"


class WrongContentType(RequestRefused):
    """415: only ``application/json``, not encoded (T14)."""

    status = 415
    code = "not-supported"


class TooManyCalls(RequestRefused):
    """429: this client has called as often as agreed; ``seconds`` until it may again (T30)."""

    status = 429
    code = "throttled"

    def __init__(self, seconds: int) -> None:
        self.headers = {"Retry-After": str(seconds)}
        super().__init__("This client has called more often than agreed. Nothing was evaluated.")


class StoreUnavailable(RequestRefused):
    """503: what must be kept cannot be kept now. A call is answered without memory, feedback is to be sent again."""

    status = 503
    code = "transient"


class FhirReadError(AtrophyCdsError):
    """A read over FHIR failed. ``cause`` is a short constant word, safe for logs and answers."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(cause)


class TemporaryFhirError(FhirReadError):
    """May succeed when asked again within the deadline."""


class FinalFhirError(FhirReadError):
    """Will not succeed when asked again."""
