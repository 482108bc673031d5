"""What is asked of a FHIR server, worked out once from what the rules read: templates, searches (C13, P-01, P-09)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, get_args
from urllib.parse import quote

import msgspec

from cds_service.cds_hooks.discovery import VERSION_3
from cds_service.fhir.reading.kinds import RESOURCES
from cds_service.prefetch.template_lint import lint
from cds_service.record import SourceName

ALL_SOURCES: tuple[SourceName, ...] = get_args(SourceName)
# P-01: only these are dated. Medications, conditions, family history and care plans may run on without a date that a
# search could find, so their searches name the patient only.
DATE_PARAMETERS: Mapping[SourceName, str] = {
    "observations": "date",
    "procedures": "date",
    "reports": "date",
    "orders": "authored",
    "encounters": "date",
    "appointments": "date",
}
PAGE_SIZE = 1_000  # servers with smaller pages answer with smaller pages
_CODES_BYTES = 1_400  # leaves room for a FHIR base of 150 and a patient id of 255 under 1,900 bytes (P-09, P-12)
_PATIENT_TOKEN = "{{context.patientId}}"  # noqa: S105 - a template's token, no secret


class Reads(msgspec.Struct, frozen=True):
    """What the rules read.

    ``look_back_days`` is heeded for dated sources only (P-01). ``observation_codes`` are written ``system|code``; none
    means all observations. ``undated_codes`` are those of them that count whenever measured, such as a height (A-11).
    """

    sources: tuple[SourceName, ...] = ALL_SOURCES
    look_back_days: Mapping[SourceName, int] = {}
    observation_codes: tuple[str, ...] = ()
    undated_codes: tuple[str, ...] = ()


class Query(NamedTuple):
    """One request under the FHIR base. ``plain`` finds at least as much with no parameter but the patient.

    ``plain`` is for servers that lack a parameter, which costs the whole search (400); a read has none.
    """

    path: str
    plain: str | None = None

    @property
    def resource(self) -> str:
        """The type that is searched."""
        return self.path.partition("?")[0]

    @property
    def as_plain(self) -> Query:
        """The plain search alone; a read stays as it is."""
        return self if self.plain is None else Query(self.plain, self.plain)


class PrefetchPlan(msgspec.Struct, frozen=True):
    """Templates by prefetch key, for CDS Hooks 2.0 without dates (C17-C19) and for 3.0 with them (C21)."""

    reads: Reads
    templates: Mapping[str, str]
    templates_3: Mapping[str, str]
    code_lists: tuple[str, ...]
    undated_lists: tuple[str, ...] = ()
    page_size: int = PAGE_SIZE

    def templates_for(self, cds_hooks: str) -> Mapping[str, str]:
        """What discovery shows to clients of this version of CDS Hooks."""
        return self.templates_3 if cds_hooks == VERSION_3 else self.templates

    def queries(self, name: SourceName, patient_id: str, as_of: datetime) -> tuple[Query, ...]:
        """What to ask for one source of one patient; ``patient_id`` is a FHIR id (P-12)."""
        resource = RESOURCES[name].__name__
        if name == "patient":
            return (Query(f"{resource}/{patient_id}"),)
        search = f"{resource}?patient={patient_id}"
        dated = search + _since(name, self.reads, lambda days: (as_of - timedelta(days=days)).date().isoformat())
        if name != "observations":
            return (Query(f"{dated}&_count={self.page_size}", search),)
        # Newest first: what a cap or the deadline cuts off is the oldest.
        tail = f"&_sort=-date&_count={self.page_size}"
        if not self.code_lists:
            return (Query(f"{dated}{tail}", search),)
        return tuple(
            Query(f"{begin}&code={codes}{tail}", search)
            for begin, lists in ((dated, self.code_lists), (search, self.undated_lists))
            for codes in lists
        )


def prefetch_plan(reads: Reads, page_size: int = PAGE_SIZE) -> PrefetchPlan:
    """The templates and searches for these reads. Raises ValueError when a template breaks the linter's rules.

    ``page_size`` is what our own searches ask for.
    """
    lists = tuple(_code_lists(reads.observation_codes))
    dated_lists = tuple(_code_lists(set(reads.observation_codes) - set(reads.undated_codes)))
    templates: dict[str, str] = {name: _template(name, reads, lists, dated=False) for name in reads.sources}
    # One template holds all observations: with codes that count whenever measured it cannot be dated.
    dated = {name for name in reads.sources if name != "observations" or not reads.undated_codes}
    templates_3: dict[str, str] = {name: _template(name, reads, lists, dated=name in dated) for name in reads.sources}
    for template in templates.values():
        lint(template)
    for template in templates_3.values():
        lint(template, version_3=True)
    undated_lists = tuple(_code_lists(reads.undated_codes))
    return PrefetchPlan(reads, templates, templates_3, dated_lists, undated_lists, page_size)


def _template(name: SourceName, reads: Reads, code_lists: tuple[str, ...], *, dated: bool) -> str:
    """One string per key: observation codes that do not fit into one query are left out, which asks for all."""
    resource = RESOURCES[name].__name__
    if name == "patient":
        return f"{resource}/{_PATIENT_TOKEN}"
    since = _since(name, reads, lambda days: f"{{{{today() - {days} days}}}}") if dated else ""
    codes = f"&code={code_lists[0]}" if name == "observations" and len(code_lists) == 1 else ""
    return f"{resource}?patient={_PATIENT_TOKEN}{codes}{since}&_count={PAGE_SIZE}"


def _since(name: SourceName, reads: Reads, written: Callable[[int], str]) -> str:
    days = reads.look_back_days.get(name)
    parameter = DATE_PARAMETERS.get(name)
    if days is None or parameter is None:
        return ""
    return f"&{parameter}=ge{written(days + 1)}"  # a day more: the server's day may begin later than the site's


def _code_lists(codings: Iterable[str]) -> list[str]:
    """Codes without their systems, comma-separated, in lists that fit into a query.

    A bare code finds it under every spelling of its system, such as an OID; the reader looks at the system again.
    """
    lists: list[str] = []
    for code in sorted({quote(coding.rpartition("|")[2], safe="") for coding in codings}):
        if lists and len(lists[-1]) + 1 + len(code) <= _CODES_BYTES:
            lists[-1] += f",{code}"
        else:
            lists.append(code)
    return lists
