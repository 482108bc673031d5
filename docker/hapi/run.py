"""Runs a real HAPI FHIR R4 server on this machine, without Docker: ``make hapi``. Needs a JDK (17 or newer) and Maven.

The server is HAPI's own test server (H2 in memory): it answers everybody who reaches this machine, so it is for one's
own machine only.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HERE = Path(__file__).parent
OLDEST_JAVA = 17
LONGEST_START = 600  # seconds; the first one downloads about 350 jars
PATIENCE = 10  # seconds for a running server to end by itself
_JAVA = re.compile(r"^Java version: (\d+).* runtime: (.+)$", re.MULTILINE)


def missing() -> str | None:
    """What this machine lacks, in one line; None when nothing."""
    if shutil.which("mvn") is None:
        return "HAPI FHIR needs Maven: apt-get install maven"
    # Maven's own Java counts (JAVA_HOME goes before PATH), and it needs the compiler beside it.
    said = subprocess.run(["mvn", "-B", "-version"], capture_output=True, text=True, check=False).stdout
    java = _JAVA.search(said)
    if java is None or int(java[1]) < OLDEST_JAVA or not (Path(java[2]) / "bin" / "javac").exists():
        return "HAPI FHIR needs a JDK of Java 17 or newer for Maven: apt-get install openjdk-17-jdk-headless"
    return None


class HapiServer:
    """A server that is starting or running. ``url`` waits until it answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._url_file = folder / "url"
        self.log = folder / "maven.log"
        # A copy, so that no build output lands in the checkout.
        shutil.copytree(HERE, folder / "build", ignore=shutil.ignore_patterns("target", "__pycache__"))
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                ["mvn", "-q", "-B", "test", f"-Dhapi.url.file={self._url_file}", f"-Dhapi.parent={os.getpid()}"],
                cwd=folder / "build",
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is ours to handle
            )

    def url(self, waiting: Callable[[float], None] = lambda _: None) -> str:
        """The FHIR base, once it answers. ``waiting`` hears every half second how long it has taken."""
        started = time.monotonic()
        while not self._url_file.exists():
            spent = time.monotonic() - started
            if self._process.poll() is not None or spent > LONGEST_START:
                raise RuntimeError(f"HAPI FHIR did not start. Maven said:\n{self.log.read_text()[-2000:]}")
            waiting(spent)
            time.sleep(0.5)
        return self._url_file.read_text()

    def stop(self) -> None:
        """End it, and wait until no process of it is left."""
        if self._url_file.exists():
            self._url_file.unlink()  # a running server ends by that
            self._wait()
        with suppress(ProcessLookupError):
            for how in (signal.SIGTERM, signal.SIGKILL):
                os.killpg(self._process.pid, how)  # Maven may be gone before the server it started
                self._wait()

    def _wait(self) -> None:
        """Until the whole group has ended, or PATIENCE."""
        latest = time.monotonic() + PATIENCE
        with suppress(ProcessLookupError):
            while time.monotonic() < latest:
                self._process.poll()
                os.killpg(self._process.pid, 0)
                time.sleep(0.05)


@contextmanager
def running_hapi() -> Iterator[HapiServer]:
    """A server of one's own, started here and stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="hapi-") as folder:
        server = HapiServer(Path(folder))
        try:
            yield server
        finally:
            server.stop()


def main() -> None:
    """Start, load the synthetic patients, say how to try it, and wait for Ctrl-C."""
    if lacking := missing():
        sys.exit(lacking)
    for ending in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: nothing is left behind
        signal.signal(ending, signal.default_int_handler)
    port = os.environ.get("PORT", "8000")
    with running_hapi() as server:
        try:
            base = server.url(lambda spent: print(f"\rStarting HAPI FHIR ... {spent:.0f} s", end="", flush=True))  # noqa: T201
            print(f"\nHAPI FHIR R4: {base}")  # noqa: T201
            loaded = subprocess.run([sys.executable, "-m", "cds_service", "load-fixtures", base], check=False)
            if loaded.returncode:
                sys.exit(loaded.returncode)  # it has said why
            print(TRY.format(base=base, port=port), flush=True)  # noqa: T201
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            print("\nStopping HAPI FHIR ...")  # noqa: T201


TRY = """
With `make serve PORT={port}` in another terminal, this fires patient-view for a patient of this server:

  curl -s http://127.0.0.1:{port}/cds-services/atrophy-risk -H 'Content-Type: application/json' -d '{{
    "hook": "patient-view", "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea", "fhirServer": "{base}",
    "context": {{"userId": "Practitioner/test-clinician", "patientId": "ada-steroid-myopathy"}}}}'

Ctrl-C stops the server; nothing is kept."""

if __name__ == "__main__":
    main()
