"""C75, C76, T3: key sets are read only from agreed addresses, bounded, in the background, and a new kid is found."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cds_service.errors import SettingsError
from cds_service.trust import CdsClient, KeySet, ListedServers
from cds_service.trust import key_sets as module
from cds_service.trust.key_sets import KeySets, keys_in
from tests.ehr import Ehr, KeyServer, ec_key, key_server, public_jwk, rsa_key


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with key_server() as running:
        yield running


@pytest.fixture
def ehr(server: KeyServer) -> Ehr:
    ehr = Ehr(kid="one", jku=server.url)
    server.body = json.dumps(ehr.jwks).encode()
    return ehr


@pytest.fixture
def client(server: KeyServer) -> CdsClient:
    return CdsClient(
        id="ehr", key_sets=(KeySet(url=server.url, networks=("127.0.0.0/8",), insecure_http=True),)
    )  # fmt: skip


@pytest.fixture
def sets(client: CdsClient) -> KeySets:
    return KeySets((client,), ListedServers((client,)))


def finds(sets: KeySets, client: CdsClient, jku: str | None, kid: str = "one", seconds: float = 5) -> bool:
    return sets.key(client, jku, kid, "ES384", time.monotonic() + seconds) is not None


def test_a_key_is_read_once_and_kept(sets: KeySets, client: CdsClient, server: KeyServer, ehr: Ehr) -> None:
    assert all(finds(sets, client, ehr.jku) for _ in range(5))
    assert server.asked == 1


def test_it_is_read_in_the_background_before_anybody_calls(
    sets: KeySets, client: CdsClient, server: KeyServer, ehr: Ehr
) -> None:
    """P-10: not waited for inside a call; here a call has no time left at all."""
    sets.refresh()
    give_up = time.monotonic() + 5
    while not finds(sets, client, ehr.jku, seconds=0) and time.monotonic() < give_up:
        time.sleep(0.01)
    assert finds(sets, client, ehr.jku, seconds=0)


def test_t3_a_jku_that_is_not_agreed_is_never_asked(sets: KeySets, client: CdsClient, server: KeyServer) -> None:
    for jku in (f"{server.url}?x", server.url.replace("127.0.0.1", "localhost"), "https://evil.example/jwks", ""):
        assert not finds(sets, client, jku)
    assert server.asked == 0


def test_without_a_jku_only_keys_of_a_file_count(sets: KeySets, client: CdsClient, server: KeyServer, ehr: Ehr) -> None:
    assert not finds(sets, client, None)
    assert server.asked == 0


def test_a_new_kid_is_looked_for_and_then_not_again_for_a_while(
    sets: KeySets, client: CdsClient, server: KeyServer, ehr: Ehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rotation with a cool-down: nobody can make us ask without end."""
    assert finds(sets, client, ehr.jku)
    assert not any(finds(sets, client, ehr.jku, kid=f"guess-{n}") for n in range(20))
    assert server.asked == 1
    monkeypatch.setattr(module, "COOL_DOWN", 0.0)
    server.body = json.dumps({"keys": [public_jwk(ec_key(), "two")]}).encode()
    assert finds(sets, client, ehr.jku, kid="two")
    assert not finds(sets, client, ehr.jku, kid="one")  # it was withdrawn


def test_while_the_server_fails_the_known_keys_stay_for_a_day(
    sets: KeySets, client: CdsClient, server: KeyServer, ehr: Ehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert finds(sets, client, ehr.jku)
    server.status = 500
    monkeypatch.setattr(module, "COOL_DOWN", 0.0)
    assert not finds(sets, client, ehr.jku, kid="two")
    assert finds(sets, client, ehr.jku)
    monkeypatch.setattr(module, "FORGET_AFTER", 0.0)
    assert not finds(sets, client, ehr.jku)


def test_a_slow_server_costs_no_more_than_is_left(
    sets: KeySets, client: CdsClient, server: KeyServer, ehr: Ehr
) -> None:
    server.delay = 3
    started = time.monotonic()
    assert not finds(sets, client, ehr.jku, seconds=0.2)
    assert time.monotonic() - started < 1.5


def test_t16_a_read_that_hangs_is_waited_for_no_longer_than_a_read_may_take(
    sets: KeySets, client: CdsClient, ehr: Ehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver has no time-out of ours: whoever names a new kid meanwhile must not hold a thread each."""
    hangs = threading.Event()
    monkeypatch.setattr(module.FetchedKeys, "_body", lambda *_: hangs.wait(20) and b"{}")
    monkeypatch.setattr(module, "READ_SECONDS", 0.2)
    first = threading.Thread(target=finds, args=(sets, client, ehr.jku))
    first.start()
    time.sleep(0.5)
    started = time.monotonic()
    assert not any(finds(sets, client, ehr.jku) for _ in range(20))
    assert time.monotonic() - started < 3  # 20 times 0.2 s would be 4 s
    hangs.set()
    first.join()


@pytest.mark.parametrize("status", [201, 301, 302, 401, 404, 500])
def test_only_200_gives_keys_and_redirects_are_not_followed(
    sets: KeySets, client: CdsClient, server: KeyServer, ehr: Ehr, status: int
) -> None:
    server.status = status
    server.headers["Location"] = server.url
    assert not finds(sets, client, ehr.jku)
    assert server.asked == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b'{"keys": [7, null]}', b"<html>", b"\xff", b"[" * 50_000],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_no_key_set(sets: KeySets, client: CdsClient, server: KeyServer, ehr: Ehr, body: bytes) -> None:
    server.body = body
    assert not finds(sets, client, ehr.jku)


def test_t3_a_set_that_is_too_large_is_not_read(sets: KeySets, client: CdsClient, server: KeyServer, ehr: Ehr) -> None:
    server.body = json.dumps({**ehr.jwks, "padding": "x" * module.MAX_BYTES}).encode()
    assert not finds(sets, client, ehr.jku)


def test_t14_nor_one_that_is_large_when_inflated(sets: KeySets, client: CdsClient, server: KeyServer, ehr: Ehr) -> None:
    server.body = gzip.compress(json.dumps({**ehr.jwks, "padding": "x" * 50_000_000}).encode())
    server.headers["Content-Encoding"] = "gzip"
    assert not finds(sets, client, ehr.jku)


def test_t3_nor_one_of_too_many_keys() -> None:
    key = ec_key()
    with pytest.raises(ValueError, match="100 keys"):
        keys_in(json.dumps({"keys": [public_jwk(key, str(n)) for n in range(101)]}).encode())


def test_t5_keys_that_must_not_verify_are_left_out() -> None:
    """Secrets, private keys, keys for encryption, keys without a name, and two keys of one name."""
    key = ec_key()
    good = public_jwk(key, "good")
    keys = [
        good,
        good,
        {"kty": "oct", "kid": "secret", "k": "AAAA"},
        {**public_jwk(key, "private"), "d": "AAAA"},
        public_jwk(key, "encrypts", use="enc"),
        {name: value for name, value in good.items() if name != "kid"},
        public_jwk(ec_key(), "twice"),
        public_jwk(ec_key(), "twice"),
    ]
    assert set(keys_in(json.dumps({"keys": keys}).encode())) == {"good"}


def test_t5_a_key_serves_only_its_algorithm_and_curve(server: KeyServer, client: CdsClient, sets: KeySets) -> None:
    keys = [public_jwk(rsa_key(), "rsa", alg="RS512"), {**public_jwk(ec_key(), "ec"), "crv": "P-256"}]
    server.body = json.dumps({"keys": keys}).encode()
    until = time.monotonic() + 5
    assert sets.key(client, server.url, "rsa", "RS512", until) is not None
    assert sets.key(client, server.url, "rsa", "RS384", until) is None
    assert sets.key(client, server.url, "rsa", "ES384", until) is None
    assert sets.key(client, server.url, "ec", "ES384", until) is None


def test_a_server_at_another_address_than_agreed_is_not_asked(server: KeyServer, ehr: Ehr) -> None:
    """T2: listed without `networks`, its name must resolve to public addresses."""
    public = CdsClient(id="ehr", key_sets=(KeySet(url=server.url, insecure_http=True),))
    assert not finds(KeySets((public,), ListedServers((public,))), public, server.url)
    assert server.asked == 0


@pytest.mark.parametrize("content", [None, "{", '{"keys": []}'])
def test_c76_a_file_of_keys_that_cannot_be_used_stops_the_start(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_text(content)
    client = CdsClient(id="ehr", keys_file=str(path))
    with pytest.raises(SettingsError, match=r"keys\.json"):
        KeySets((client,), ListedServers((client,)))
