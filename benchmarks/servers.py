"""Starts and stops the measured servers, and reads from Linux what their processes cost."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from cds_service.settings import PREFIX, variable

HOST = "127.0.0.1"
OURS, RAW, NULL, FHIR_STUB = "service", "raw", "null", "fhir-stub"
_START_SECONDS = 30
_STOP_SECONDS = 15
_SCHEDULED_TIME = 2  # CPUCLOCK_SCHED of Linux: the time that all threads of a process were on a processor


class NotStarted(Exception):
    """A server that ended, or did not listen in time."""


class Server(NamedTuple):
    """One running server: a gunicorn master with its worker."""

    name: str
    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """Processor time of the whole process tree since it started."""
        return sum(time.clock_gettime((~pid << 3) | _SCHEDULED_TIME) for pid in _tree(self.pid))

    def worker_rss_mb(self) -> float:
        """Resident memory of the worker in MB (the largest process of the tree)."""
        return max(_rss_kb(pid) for pid in _tree(self.pid)) / 1024


@contextmanager
def running(folder: Path, names: tuple[str, ...]) -> Iterator[dict[str, Server]]:
    """The servers of these names, listening. Files and logs go to ``folder``; raises :class:`NotStarted`."""
    started: dict[str, tuple[Server, subprocess.Popen[bytes]]] = {}
    try:
        for name in names:
            started[name] = _start(name, folder)
        for server, process in started.values():
            _wait_until_listening(server, process, folder)
        yield {name: server for name, (server, _) in started.items()}
    finally:
        for _, process in started.values():
            process.terminate()
        for _, process in started.values():
            process.wait(_STOP_SECONDS)


def _start(name: str, folder: Path) -> tuple[Server, subprocess.Popen[bytes]]:
    port = _free_port()
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            _command(name, port),
            env=_environment(folder),
            stdout=log,
            stderr=log,
        )
    return Server(name, port, process.pid), process


def _command(name: str, port: int) -> list[str]:
    if name == OURS:
        main = "from cds_service.cli.commands import main; main()"
        return [sys.executable, "-c", main, "serve", "--open", "--port", str(port)]
    if name == FHIR_STUB:
        return [sys.executable, "-m", "benchmarks.fhir_stub", "--port", str(port)]
    return [sys.executable, "-m", "benchmarks.floor", name, "--port", str(port)]


def _environment(folder: Path) -> Mapping[str, str]:
    """Ours without settings of the person who measures: default rules, a store of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**kept, variable("database_url"): f"sqlite:///{folder / 'benchmark.db'}"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_listening(server: Server, process: subprocess.Popen[bytes], folder: Path) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while time.monotonic() < give_up and process.poll() is None:
        try:
            socket.create_connection((HOST, server.port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    log = (folder / f"{server.name}.log").read_text(encoding="utf-8", errors="replace")
    raise NotStarted(f"{server.name} does not listen. Its log ends:\n{log[-2000:]}")


def _tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [pid, *(below for child in children for below in _tree(int(child)))]


def _rss_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
