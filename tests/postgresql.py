"""A real PostgreSQL of the tests' own: a new cluster in a folder, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.exposed.processes import free_port

REQUIRED = os.environ.get("ATROPHY_CDS_REQUIRE_POSTGRESQL") == "1"
NOT_FOUND = "PostgreSQL not found: apt-get install postgresql"
LONGEST_START = 30  # seconds
_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def program(name: str) -> str | None:
    """Where a program of PostgreSQL is; Debian keeps them off the path."""
    return shutil.which(name) or next((str(folder / name) for folder in reversed(_FOLDERS)), None)


def user() -> str | None:
    """Whom it runs as: it refuses root. None means ourselves."""
    if os.geteuid() != 0:
        return None
    return next((name for name in ("postgres", "nobody") if _is_user(name)), None)


@contextmanager
def postgresql() -> Iterator[str]:
    """The address of its server, with ``{name}`` for a database; one named ``postgres`` is there."""
    initdb, server = program("initdb"), program("postgres")
    assert initdb, NOT_FOUND
    assert server, NOT_FOUND
    with tempfile.TemporaryDirectory() as folder:
        cluster, owner, port = Path(folder) / "cluster", user(), free_port()
        cluster.mkdir(mode=0o700)
        if owner is not None:
            for path in (folder, cluster):
                shutil.chown(path, owner)
        made = [initdb, "-D", str(cluster), "-U", "cds", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(made, user=owner, check=True, capture_output=True, cwd=folder)
        options = ("-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-p", str(port), "-k", folder)
        with (Path(folder) / "log").open("wb") as log:
            running = subprocess.Popen([server, "-D", str(cluster), *options], user=owner, stderr=log, cwd=folder)
            try:
                _wait_for(port)
                yield f"postgresql+psycopg://cds@127.0.0.1:{port}/{{name}}"
            finally:
                running.send_signal(signal.SIGINT)  # it waits for nobody who is still connected
                running.wait(LONGEST_START)


def _wait_for(port: int) -> None:
    import psycopg  # noqa: PLC0415 - only where there is a PostgreSQL

    give_up = time.monotonic() + LONGEST_START
    while True:
        try:
            psycopg.connect(f"host=127.0.0.1 port={port} user=cds dbname=postgres").close()
        except psycopg.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)
        else:
            return


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
