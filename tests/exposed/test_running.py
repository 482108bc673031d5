"""What a running service lets out of its processes: nothing over old TLS, nothing in a core dump (C1, P-31, T35)."""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificate import write_certificate
from tests.ehr import PUBLIC_URL, Ehr, write_clients
from tests.exposed.processes import Running, serving


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The service with TLS of its own."""
    folder = tmp_path_factory.mktemp("tls")
    certificate = write_certificate(folder / "server.pem")
    environment = {
        "ATROPHY_CDS_CLIENTS_FILE": str(write_clients(folder, Ehr())),
        "ATROPHY_CDS_PUBLIC_URL": PUBLIC_URL,
    }
    with serving(
        folder, "--certfile", str(certificate), "--keyfile", str(certificate.with_suffix(".key")), **environment
    ) as running:
        yield running


def spoken(running: Running, version: ssl.TLSVersion) -> str | None:
    """The version of TLS that is agreed on with somebody who speaks no other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")  # ours must refuse, not this side
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", running.port), 5) as connection,
        context.wrap_socket(connection) as wrapped,
    ):
        return wrapped.version()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_c1_old_tls_is_not_spoken(running: Running, version: ssl.TLSVersion) -> None:
    with pytest.raises(ssl.SSLError, match=r"(?i)alert|version"):
        spoken(running, version)


def test_c1_tls_of_today_is(running: Running) -> None:
    assert spoken(running, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert spoken(running, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"


def test_t35_there_is_no_core_dump(running: Running) -> None:
    """Not of the first process, and so not of its workers, which inherit the limit."""
    limits = Path(f"/proc/{running.process.pid}/limits").read_text()
    (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert line.split()[4:6] == ["0", "0"]
