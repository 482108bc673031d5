"""``docs/threat-model.md``: each threat, what is done about it, the attacks and the tests that show it."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec

from cds_service.errors import RuleFileError

NUMBER = re.compile(r"\b[Tt]([1-9]|[1-3][0-9]|40)(?![0-9])(?=\b|_)")
HEAD = """# Threat model

*Made by `make fix` from [threats.toml](threats.toml), the staged attacks and the tests that name a threat. Do not
edit.*

Who is trusted: the operator of the machine, the file of CDS Clients, the rules. Who is not: every caller until its
token is verified, every FHIR server, every text in a chart, every web page. What is protected: that no patient's data
leaves the service except to its caller, that nobody is contacted but who was agreed, and that no failure looks like
"no risk".
Numbers are those of the protocol specification; T1 to T30 of its list of threats, T31 to T40 of its rulings.

Each attack is made twice on a whole service ([test_swapped.py](../tests/threats/test_swapped.py)): it fails, and when
the part that protects is swapped out in the test it succeeds.

| | Threat | Answer | Attack | Tests |
|---|---|---|---|---|
"""


class Threat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row."""

    id: str
    threat: str
    answer: str


class _Threats(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    threat: tuple[Threat, ...]


def threat_page(rules: Path) -> str:
    """The page. Raises RuleFileError for a threat that no attack is staged for, or that no test names."""
    root = rules.parent
    path = root / "docs" / "threats.toml"
    threats = msgspec.toml.decode(path.read_bytes(), type=_Threats).threat
    shown = _tests_by_threat(root / "tests")
    staged = _attacks_by_threat(root / "tests")
    rows = []
    for threat in threats:
        tests, attacks = shown.get(threat.id, {}), staged.get(threat.id, [])
        if not tests or not attacks:
            raise RuleFileError(path, 1, f"no {'attack is staged for' if tests else 'test names'} {threat.id}")
        links = ", ".join(
            f"[{name.rpartition('/')[2]}](../tests/{name}) ({len(found)})" for name, found in tests.items()
        )
        rows.append(f"| {threat.id} | {threat.threat} | {threat.answer} | {'; '.join(attacks)} | {links} |")
    return HEAD + "\n".join(rows) + "\n"


def _attacks_by_threat(tests: Path) -> dict[str, list[str]]:
    """Threat -> links to the attacks that are staged for it, ``@ATTACKS.against("T1", ...)``, in their own words."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((tests / "threats").rglob("*.py")):
        for threat, attack in _attacks_in(ast.parse(path.read_text(encoding="utf-8"))):
            link = f"[{attack.replace('_', ' ')}](../tests/{path.relative_to(tests).as_posix()})"
            found[threat].append(link)
    return found


def _attacks_in(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        for decorator in function.decorator_list:
            match decorator:
                case ast.Call(func=ast.Attribute(attr="against"), args=[ast.Constant(value=str(threat)), *_]):
                    yield threat, function.name


def _tests_by_threat(tests: Path) -> dict[str, dict[str, list[str]]]:
    """Threat -> file -> the tests in it whose name, docstring, class or module says its number."""
    found: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for path in sorted(tests.rglob("test_*.py")):
        name = path.relative_to(tests).as_posix()
        for test, words in _tests_in(ast.parse(path.read_text(encoding="utf-8"))):
            for number in {match[1] for match in NUMBER.finditer(words)}:
                found[f"T{number}"].setdefault(name, []).append(test)
    return found


def _tests_in(tree: ast.Module | ast.ClassDef, above: str = "") -> Iterator[tuple[str, str]]:
    words = f"{above} {ast.get_docstring(tree) or ''}"
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from _tests_in(node, f"{words} {node.name}")
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name, f"{words} {node.name.replace('_', ' ')} {ast.get_docstring(node) or ''}"
