"""The service as real processes: alone, several on one store, or behind the proxy that is shipped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cds_service.fixture_patients import hook_request_for, load_fixture_patients

ROOT = Path(__file__).parents[2]
NGINX = shutil.which("nginx") or ("/usr/sbin/nginx" if Path("/usr/sbin/nginx").exists() else None)
NO_NGINX = "nginx not found: apt-get install nginx-light"
LONGEST_START = 30  # seconds

_NGINX_MAIN = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    include {folder}/site.conf;
}}
"""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Running:
    """A process group of the service, listening on ``port``."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def kill(self) -> None:
        """The end without warning of all its processes at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        """The ordinary end."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()


@contextmanager
def serving(folder: Path, *options: str, **environment: str) -> Iterator[Running]:
    """``atrophy-cds serve`` with these options, its database in ``folder``, until the block ends."""
    port = free_port()
    env = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "ATROPHY_CDS_DATABASE_URL": f"sqlite:///{folder}/cds.db",
        **environment,
    }
    command = [sys.executable, "-m", "cds_service", "serve", "--port", str(port), *options]
    with (folder / f"serve-{port}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True)
    running = Running(process, port)
    try:
        wait_for(port)
        yield running
    finally:
        running.stop()


@contextmanager
def behind_nginx(folder: Path, upstream: int) -> Iterator[str]:
    """The address of ``docker/nginx.conf`` in front of a port, until the block ends."""
    assert NGINX is not None, NO_NGINX
    port = free_port()
    site = (ROOT / "docker" / "nginx.conf").read_text()
    assert "server atrophy-cds:8000;" in site
    assert "listen 8000;" in site
    site = site.replace("server atrophy-cds:8000;", f"server 127.0.0.1:{upstream};")
    (folder / "site.conf").write_text(site.replace("listen 8000;", f"listen 127.0.0.1:{port};"))
    user = "user root;" if os.getuid() == 0 else ""
    main = folder / "nginx.conf"
    main.write_text(_NGINX_MAIN.format(folder=folder, user=user))
    with (folder / "nginx.log").open("wb") as log:
        process = subprocess.Popen([NGINX, "-c", str(main)], stdout=log, stderr=log)
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def wait_for(port: int) -> None:
    """Until somebody listens on a port."""
    give_up = time.monotonic() + LONGEST_START
    while time.monotonic() < give_up:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on {port}")


def post(url: str, body: bytes, **headers: str) -> int:
    """The status of a POST of JSON."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def ask(url: str, body: bytes, **headers: str) -> dict[str, Any]:
    """The JSON that a POST of JSON is answered with; only a 200 will do."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=30) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


def about(patient: str) -> bytes:
    """A call about a synthetic patient, dated around today."""
    patients = load_fixture_patients(ROOT / "fixtures", datetime.now(UTC).date())
    return json.dumps(hook_request_for(next(p for p in patients if p.id == patient))).encode()


def status_of(answer: dict[str, Any], rule: str) -> tuple[str, str]:
    """Status and reason of a rule in an answer."""
    rules = answer["extension"]["org.atrophy-cds.evaluation"]["rules"]
    return next((r["status"], r["reason"]) for r in rules if r["id"] == rule)


def command(folder: Path, *arguments: str) -> str:
    """What ``atrophy-cds`` prints for these arguments, on the database in ``folder``."""
    env = {**os.environ, "ATROPHY_CDS_DATABASE_URL": f"sqlite:///{folder}/cds.db"}
    run = subprocess.run(
        [sys.executable, "-m", "cds_service", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    return run.stdout


def workers_of(running: Running) -> list[int]:
    """The process ids of gunicorn's workers."""
    children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
    return [int(pid) for pid in children.read_text().split()]
