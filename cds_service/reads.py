"""What the rules read, so that prefetch templates and searches ask for that and no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from cds_service.errors import RuleFileError
from cds_service.prefetch import Reads
from cds_service.record import SourceName
from cds_service.rule_engine.care import DONE_SOURCES, SEEN_SOURCES
from cds_service.rule_engine.code_tables import CodeTables
from cds_service.rule_engine.criterion import Criterion
from cds_service.rule_engine.written import line_of, read_struct
from cds_service.service import RulePack

OBSERVATION = "observation"


class _Reading(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``rules/reading.toml``."""

    version: str
    owner: str
    checker: str
    review_by: str
    look_back_days: Mapping[SourceName, int]
    undated: tuple[str, ...]


def reads_of(pack: RulePack) -> Reads:
    """Look-back days by source, and the observation codes that any rule, finding or order asks about.

    Raises RuleFileError when a rule asks further back than ``rules/reading.toml`` reads.
    """
    folder = pack.knowledge.folder
    reading = read_struct(folder / "reading.toml", _Reading)
    look_back = reading.look_back_days
    for compiled in pack.knowledge.rules.by_number:
        for name, criterion in compiled.rule.criteria.items():
            _refuse_beyond(folder / compiled.rule.id / "rule.toml", name, criterion, look_back)
    tables = pack.knowledge.tables
    asked = [name for name in tables.asked & tables.entries.keys() if tables.entries[name].resource == OBSERVATION]
    undated = [name for name in reading.undated if name in asked]
    return Reads(
        look_back_days=look_back,
        observation_codes=_codes(asked, tables),
        undated_codes=_codes(undated, tables),
    )


def _codes(names: Iterable[str], tables: CodeTables) -> tuple[str, ...]:
    return tuple(sorted({str(coding) for name in names for coding in tables.codings[name]}))


def _refuse_beyond(path: Path, name: str, criterion: Criterion, look_back: Mapping[SourceName, int]) -> None:
    days = criterion.within_days
    sources = (
        *(DONE_SOURCES if criterion.done else ()),
        *(SEEN_SOURCES if criterion.visit or criterion.setting else ()),
    )
    for source in sources:
        if days is not None and days > look_back.get(source, days):
            problem = f"criterion {name!r} asks {days:g} days back, reading.toml reads {source} for {look_back[source]}"
            raise RuleFileError(path, line_of(path, f"criteria.{name}"), problem)
