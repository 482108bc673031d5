"""Reading files of ``rules/``: TOML and CSV into frozen Structs, every oddity refused with file and line."""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from cds_service.errors import RuleFileError

T = TypeVar("T")
_TOML_LINE = re.compile(r"at line (\d+)")
_FIELD = re.compile(r"field `([^`]+)`")


def read_toml(path: Path) -> dict[str, object]:
    """The tables of a TOML file. Raises RuleFileError where it is not TOML or cannot be read."""
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        line = _TOML_LINE.search(str(error))
        raise RuleFileError(path, int(line[1]) if line else 1, f"not TOML: {error}") from error


def read_text(path: Path) -> str:
    """The text of a file. Raises RuleFileError where it cannot be read or is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RuleFileError(path, 1, f"cannot be read: {type(error).__name__}") from error


def convert(path: Path, value: object, into: type[T], *place: str) -> T:
    """``value`` as a Struct. ``place`` are words that lead to its line in the file: a table name, a key."""
    try:
        return msgspec.convert(value, into)
    except msgspec.ValidationError as error:
        field = _FIELD.search(str(error))
        words = (*place, field[1]) if field else place
        raise RuleFileError(path, line_of(path, *words), str(error)) from error


def read_struct(path: Path, into: type[T]) -> T:
    """A whole TOML file as one Struct."""
    return convert(path, read_toml(path), into)


def line_of(path: Path, *words: str) -> int:
    """The line where the last of ``words`` first stands after the one before it; 1 when it is nowhere."""
    lines = path.read_text(encoding="utf-8").splitlines()
    at = 0
    for word in words:
        found = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])")
        at = next((i for i in range(at, len(lines)) if found.search(lines[i])), at)
    return at + 1


def read_csv(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Line number and row of a CSV file. Raises RuleFileError unless the header is exactly ``columns``."""
    rows = csv.reader(read_text(path).splitlines())
    header = next(rows, None)
    if header is None or tuple(header) != columns:
        raise RuleFileError(path, 1, f"the header must be {','.join(columns)}")
    for row in rows:
        if len(row) != len(columns):
            raise RuleFileError(path, rows.line_num, f"{len(row)} columns, not {len(columns)}")
        yield rows.line_num, dict(zip(columns, row, strict=True))
