"""`make hapi` with a stand-in for Maven: what is missing is one line, and stopping leaves no process."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from docker.hapi import run
from docker.hapi.run import HapiServer, missing

STARTS_A_SERVER = """
for word in "$@"; do case "$word" in -Dhapi.url.file=*) url="${word#*=}";; esac; done
(trap '' TERM; printf http://localhost:1/fhir > "$url.part"; mv "$url.part" "$url"; echo $$ > "$url.pid"; %s) &
wait
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that goes before PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def maven(folder: Path, script: str) -> None:
    program = folder / "mvn"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def says_java(version: str, runtime: Path) -> str:
    return f"echo 'Apache Maven 3.8.7'; echo 'Java version: {version}, vendor: Example, runtime: {runtime}'"


def jdk(folder: Path, *programs: str) -> Path:
    (folder / "java" / "bin").mkdir(parents=True)
    for program in programs:
        (folder / "java" / "bin" / program).touch()
    return folder / "java"


def test_without_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing() == "HAPI FHIR needs Maven: apt-get install maven"


@pytest.mark.parametrize("version", ["17.0.15", "21.0.7", "25"])
def test_with_a_jdk_nothing_is_missing(path: Path, tmp_path: Path, version: str) -> None:
    maven(path, says_java(version, jdk(tmp_path, "java", "javac")))
    assert missing() is None


@pytest.mark.parametrize(("version", "programs"), [("11.0.2", ["java", "javac"]), ("1.8.0_402", ["java", "javac"]),
                                                   ("17.0.15", ["java"])])  # fmt: skip
def test_an_old_java_or_one_without_compiler(path: Path, tmp_path: Path, version: str, programs: list[str]) -> None:
    maven(path, says_java(version, jdk(tmp_path, *programs)))
    assert "JDK of Java 17 or newer" in str(missing())


def test_maven_without_any_java(path: Path) -> None:
    maven(path, "echo 'The JAVA_HOME environment variable is not defined correctly' >&2; exit 1")
    assert "JDK of Java 17 or newer" in str(missing())


@pytest.mark.parametrize("serving", ['while [ -e "$url" ]; do sleep 0.02; done', "sleep 600"],
                         ids=["a server that ends when told", "one that hears nothing"])  # fmt: skip
def test_stopping_leaves_no_process(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serving: str) -> None:
    monkeypatch.setattr(run, "PATIENCE", 0.5)
    maven(path, STARTS_A_SERVER % serving)
    server = HapiServer(tmp_path / "server")
    assert server.url() == "http://localhost:1/fhir"
    server.stop()
    assert not group_of(server)


def test_stopping_before_it_serves(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PATIENCE", 0.5)
    maven(path, "trap '' TERM; sleep 600")
    server = HapiServer(tmp_path / "server")
    server.stop()
    assert not group_of(server)


def test_what_maven_says_is_told_when_it_fails(path: Path, tmp_path: Path) -> None:
    maven(path, "echo 'Could not transfer artifact'; exit 1")
    with pytest.raises(RuntimeError, match="Could not transfer artifact"):
        HapiServer(tmp_path / "server").url()


def group_of(server: HapiServer) -> list[list[str]]:
    """The processes of a server that still run; what has ended and is not yet collected runs no more."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # ended while we looked
            found.append(entry.read_text().rpartition(")")[2].split())
    return [fields for fields in found if fields[2] == str(server._process.pid) and fields[0] != "Z"]
