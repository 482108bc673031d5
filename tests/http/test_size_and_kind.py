"""Bodies that are too large, of the wrong kind, compressed, or built to be dear to read (T13, T14, T15, P-13)."""

import http.client
import io
import json
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from cds_service.app import create_app
from cds_service.cds_hooks.request import parse_hook_request
from cds_service.errors import BadRequest
from cds_service.settings import Settings
from tests.http.stand_in import CALL, FEEDBACK, NOW, StandIn, a_call, an_item, diagnostics
from tests.serving import serving

JSON = "application/json"
MB = 1024 * 1024


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/html",
        "application/fhir+json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "json",
    ],
)
@pytest.mark.parametrize("path", [CALL, FEEDBACK])
def test_415_unless_application_json(client: FlaskClient, path: str, content_type: str | None) -> None:
    response = client.post(path, data=json.dumps(a_call()), content_type=content_type)

    assert response.status_code == 415


@pytest.mark.parametrize("content_type", [JSON, "Application/JSON", "application/json; charset=utf-8", f"{JSON};v=1"])
def test_application_json_with_any_parameters(client: FlaskClient, content_type: str) -> None:
    assert client.post(CALL, data=json.dumps(a_call()), content_type=content_type).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, identity", "x"])
@pytest.mark.parametrize("path", [CALL, FEEDBACK])
def test_t14_415_for_any_compression(client: FlaskClient, path: str, encoding: str) -> None:
    response = client.post(path, json=a_call(), headers={"Content-Encoding": encoding})

    assert response.status_code == 415


def test_the_encoding_identity_is_none(client: FlaskClient) -> None:
    assert client.post(CALL, json=a_call(), headers={"Content-Encoding": "Identity"}).status_code == 200


def test_t13_413_by_its_declared_length_before_a_byte_is_read(client: FlaskClient, service: StandIn) -> None:
    response = client.post(CALL, data=b"x", content_type=JSON, environ_overrides={"CONTENT_LENGTH": str(16 * MB + 1)})

    assert response.status_code == 413
    assert service.requests == []


def test_p_20_too_large_is_said_before_wrong_kind(client: FlaskClient) -> None:
    response = client.post(
        CALL, data=b"x", content_type="text/plain", environ_overrides={"CONTENT_LENGTH": str(16 * MB + 1)}
    )

    assert response.status_code == 413


def test_a_body_of_exactly_the_limit_is_read(settings: Settings, service: StandIn) -> None:
    body = json.dumps(a_call()).encode()
    exact = create_app(
        msgspec.structs.replace(settings, max_body_bytes=len(body)), service=service, store=service.store
    )
    short = create_app(
        msgspec.structs.replace(settings, max_body_bytes=len(body) - 1), service=service, store=service.store
    )

    assert exact.test_client().post(CALL, data=body, content_type=JSON).status_code == 200
    assert short.test_client().post(CALL, data=body, content_type=JSON).status_code == 413


def test_t20_feedback_may_be_two_megabytes(client: FlaskClient) -> None:
    items = [an_item(overrideReason={"userComment": "x" * 3000})] * 900

    assert client.post(FEEDBACK, json={"feedback": items}).status_code == 413


@pytest.fixture
def port(settings: Settings, service: StandIn) -> Iterator[int]:
    """The port of a real server with a limit of 2,000 bytes."""
    small = msgspec.structs.replace(settings, max_body_bytes=2000)
    app: Flask = create_app(small, clock=lambda: NOW, store=service.store, service=service)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    with serving(server):
        yield server.server_port


def post_in_chunks(port: int, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    chunks = (body[start : start + 500] for start in range(0, len(body), 500))
    connection.request("POST", CALL, chunks, {"Content-Type": JSON}, encode_chunked=True)
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


def test_t13_a_chunked_body_without_length_is_cut_off_at_the_limit(port: int) -> None:
    status, body = post_in_chunks(port, json.dumps(a_call(padding="x" * 4000)).encode())

    assert status == 413
    assert json.loads(body)["resourceType"] == "OperationOutcome"


def test_a_body_that_breaks_off_is_400(client: FlaskClient) -> None:
    body = json.dumps(a_call()).encode()

    response = client.post(CALL, data=body, content_type=JSON, environ_overrides={"CONTENT_LENGTH": "5000"})

    assert response.status_code == 400
    assert diagnostics(response) == "The body broke off."


def test_a_connection_that_breaks_while_the_body_is_read_is_400(client: FlaskClient) -> None:
    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise ConnectionResetError

    response = client.post(CALL, json=a_call(), environ_overrides={"wsgi.input": Broken()})

    assert diagnostics(response) == "The body broke off."


def test_a_chunked_body_below_the_limit_is_read(port: int) -> None:
    assert post_in_chunks(port, json.dumps(a_call()).encode())[0] == 200


def million_keys(prefix: bytes, suffix: bytes) -> bytes:
    return prefix + b",".join(b'"k%d":1' % number for number in range(1_000_000)) + suffix


HEAD = json.dumps(a_call(prefetch=...)).encode()[:-1]
BOMBS = {
    "100,000 arrays": b"[" * 100_000,
    "100,000 arrays, closed": b"[" * 100_000 + b"]" * 100_000,
    "100,000 objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep in an unknown member": HEAD + b', "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep in context": b'{"hook":"patient-view","context":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    "deep in prefetch": HEAD + b', "prefetch":{"patient":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "deep in the extension": HEAD + b', "extension":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    "a million keys and nothing else": million_keys(b"{", b"}"),
    "a million keys in context": million_keys(HEAD[:-1].split(b'"userId"')[0], b"}}"),
    "a number of a million digits": b'{"hook":' + b"9" * 1_000_000 + b"}",
    "five megabytes of nonsense": bytes(range(256)) * (5 * MB // 256),
    "five megabytes of brackets": b"[" * (5 * MB),
    "five megabytes of quotes": b'"' * (5 * MB),
    "five megabytes of spaces": b" " * (5 * MB),
}


@pytest.fixture(scope="module")
def a_million_keys_read() -> float:
    """CPU seconds in which the standard library reads a million keys here: the measure of a machine."""
    return quickest(json.loads, million_keys(b"{", b"}"))


@pytest.mark.parametrize("name", BOMBS)
def test_t15_a_bomb_is_400_long_before_it_could_be_read(
    client: FlaskClient, name: str, a_million_keys_read: float
) -> None:
    """T15 says 100 ms: a fifth of what reading a million keys takes where that takes half a second."""
    started = time.process_time()
    response = client.post(CALL, data=BOMBS[name], content_type=JSON)
    spent = time.process_time() - started

    assert response.status_code == 400
    assert spent < a_million_keys_read / 5


@pytest.mark.parametrize("name", BOMBS)
def test_t15_a_bomb_in_feedback_is_400(client: FlaskClient, name: str) -> None:
    response = client.post(FEEDBACK, data=BOMBS[name][: 2 * MB], content_type=JSON)

    assert response.status_code == 400


def test_p_13_a_million_keys_cost_no_more_than_three_times_a_valid_body_of_that_size() -> None:
    bomb = million_keys(HEAD + b', "prefetch": {', b"}}")
    entry = b'{"resource":{"resourceType":"Condition","id":"c1","code":{"text":"Muscle weakness"}}},'
    entries = entry * (len(bomb) // len(entry))
    valid = HEAD + b', "prefetch": {"conditions": {"entry": [' + entries[:-1] + b"]}}}"

    assert len(valid) == pytest.approx(len(bomb), rel=0.01)
    assert quickest(parse_hook_request, bomb) < 3 * quickest(parse_hook_request, valid) + 0.01


def quickest(read: Callable[[bytes], object], body: bytes) -> float:
    """CPU seconds to read a body, the least of five."""
    spent = []
    for _ in range(5):
        started = time.process_time()
        read(body)
        spent.append(time.process_time() - started)
    return min(spent)


def test_no_prefix_of_a_valid_body_is_taken_or_fails_otherwise() -> None:
    body = json.dumps(a_call()).encode()
    for end in range(len(body)):
        with pytest.raises(BadRequest):
            parse_hook_request(body[:end])


def test_a_refused_body_is_not_in_the_answer(client: FlaskClient) -> None:
    response = client.post(CALL, data=b'{"canary"', content_type=JSON)

    assert "canary" not in diagnostics(response)
