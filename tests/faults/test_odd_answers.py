"""T22, T23, P-05: whatever a FHIR server answers, its source is incomplete or failed, and nothing of ours breaks."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Iterator

import pytest

from tests.fhir_server import Fault
from tests.threats.attacked import Attacked, attacked

BODIES = (
    b"", b"{", b"null", b"[]", b"{}", b"\xef\xbb\xbf{}", b"\x1f\x8b", b'{"a":' * 5_000, b"\xff",
    b'{"resourceType":"Bundle","entry":{}}',
    b'{"resourceType":"Bundle","link":[null],"entry":null}',
    b'{"resourceType":"Bundle","link":[{"relation":"next","url":"x\\ud800"}]}',
    b'{"resourceType":"OperationOutcome","issue":7}',
)  # fmt: skip
LINKS = (
    "http://[::1", "//[", "http://127.0.0.1:99999999/x", "http://127.0.0.1:abc/x", "http://a..b/", "\0", "?" * 70_000,
    "https://[fe80::1%25eth0]/x", "javascript:alert(1)", "http://" + "a" * 300 + ".example/", "\U0001f600",
)  # fmt: skip
HEADERS = (
    {"Retry-After": "9" * 5_000},
    {"Retry-After": "-5"},
    {"Retry-After": "Fri, 31 Dec 99999 23:59:59 GMT"},
    {"Content-Encoding": "gzip"},
    {"Content-Encoding": "br"},
    {"Content-Encoding": ", ".join(["gzip"] * 10)},
    {"Content-Length": "9" * 5_000},
    {"Transfer-Encoding": "chunked"},
    {"Content-Type": "application/json; charset=\xff"},
    {"Set-Cookie": "a=b; Domain=.; Max-Age=99999999999999999999999"},
    {f"X-{number}": "y" for number in range(150)},
    {"X-Long": "y" * 70_000},
)
ODD = {
    **{f"body {body[:40]!r}": Fault(body=body) for body in BODIES},
    **{f"next {link[:30]!r}": Fault(link=link) for link in LINKS},
    **{f"location {link[:30]!r}": Fault(status=302, headers={"Location": ascii(link)[1:-1]}) for link in LINKS},
    **{f"200 {ascii(headers)[:40]}": Fault(headers=headers) for headers in HEADERS},
    **{f"503 {ascii(headers)[:40]}": Fault(status=503, headers=headers) for headers in HEADERS},
    **{f"status {status}": Fault(status=status, body=b"") for status in (100, 199, 204, 206, 304, 418, 600, 999)},
}  # fmt: skip


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    with attacked(tmp_path_factory.mktemp("odd")) as made:
        yield made


@pytest.mark.parametrize("kind", ODD)
def test_it_is_never_a_failure_of_ours(on: Attacked, kind: str) -> None:
    """The Conditions are required: without them 412, with a part of them an answer that says so."""
    on.fhir.faults = {"Condition": ODD[kind]}
    answer = on.fetching(on.fhir)
    assert answer.status_code in (200, 412)


def test_t14_nobody_reads_what_stands_under_a_redirect(on: Attacked) -> None:
    """200 MB in 200 kB, under a redirect to nowhere."""
    packed = gzip.compress(b"{" + bytes(200_000_000), compresslevel=9)
    on.fhir.faults = {"*": Fault(status=302, headers={"Location": "/x", "Content-Encoding": "gzip"}, body=packed)}
    on.client  # noqa: B018 - made before memory is measured
    tracemalloc.start()
    try:
        on.fetching(on.fhir)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30_000_000
