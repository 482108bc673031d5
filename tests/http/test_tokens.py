"""C68-C77, T5-T7, T29, P-20, P-31, P-34: a request is answered only with a good token, each token once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.errors import StoreUnavailable
from cds_service.settings import Settings
from cds_service.store import Store
from tests.ehr import PUBLIC_URL, Ehr, ec_key, public_jwk, rsa_key, write_clients
from tests.http.stand_in import CALL, FEEDBACK, CheckedClient, StandIn, a_call, an_item

DISCOVERY = "/cds-services"
MINUTE = 60


@pytest.fixture
def ehr() -> Ehr:
    return Ehr()


class Trusting:
    """Makes the application for the clients of a file."""

    def __init__(self, settings: Settings, store: Store, service: StandIn) -> None:
        self.settings = settings
        self._store = store
        self._service = service

    def client(self, clients: Path, public_url: str = PUBLIC_URL, store: Store | None = None) -> FlaskClient:
        closed = msgspec.structs.replace(self.settings, open=False, clients_file=clients, public_url=public_url)
        app = create_app(closed, store=store or self._store, service=self._service)
        app.test_client_class = CheckedClient
        return app.test_client()


@pytest.fixture
def trusting(settings: Settings, store: Store, service: StandIn) -> Trusting:
    return Trusting(settings, store, service)


@pytest.fixture
def client(trusting: Trusting, ehr: Ehr, tmp_path: Path) -> FlaskClient:
    return trusting.client(write_clients(tmp_path, ehr))


def call(client: FlaskClient, headers: dict[str, str]) -> int:
    return client.post(CALL, json=a_call(), headers=headers).status_code


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


class TestEveryRoute:
    """C69: discovery, the call and feedback; C72: each has an audience of its own."""

    def test_each_is_answered_with_its_token(self, client: FlaskClient, ehr: Ehr) -> None:
        assert client.get(DISCOVERY, headers=ehr.bearer(DISCOVERY)).status_code == 200
        assert call(client, ehr.bearer(CALL)) == 200
        feedback = client.post(FEEDBACK, json={"feedback": [an_item()]}, headers=ehr.bearer(FEEDBACK))
        assert feedback.status_code == 200

    @pytest.mark.parametrize("path", [DISCOVERY, CALL, FEEDBACK, "/cds-services/another", "/", "/chart/1"])
    def test_none_is_answered_without(self, client: FlaskClient, path: str) -> None:
        """T29: a path that exists and one that does not are refused alike."""
        response = client.post(path, json=a_call())
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.data == client.post(CALL, json=a_call()).data

    @pytest.mark.parametrize(("path", "meant"), [(CALL, DISCOVERY), (CALL, FEEDBACK), (FEEDBACK, CALL)])
    def test_a_token_for_another_route_is_refused(self, client: FlaskClient, ehr: Ehr, path: str, meant: str) -> None:
        assert client.post(path, json=a_call(), headers=ehr.bearer(meant)).status_code == 401

    def test_a_preflight_needs_none(self, client: FlaskClient) -> None:
        assert client.options(CALL).status_code == 204

    def test_nothing_of_the_body_is_read_before(self, client: FlaskClient, service: StandIn) -> None:
        """P-20: 401 comes before 413, 415 and 400."""
        assert client.post(CALL, data=b"x" * 20_000_000, content_type="text/plain").status_code == 401
        assert service.requests == []

    def test_the_page_of_synthetic_patients_is_not_there(self, client: FlaskClient, ehr: Ehr) -> None:
        """T40: outside open mode the chart page answers 404."""
        assert client.get("/", headers=ehr.bearer("/")).status_code == 404


class TestRefused:
    """Whatever is wrong, the answer is one constant 401 (C77)."""

    @pytest.fixture(autouse=True)
    def never_served(self, service: StandIn) -> Any:
        yield
        assert service.requests == []

    @pytest.mark.parametrize("claim", ["iss", "aud", "exp", "iat", "jti"])
    def test_c71_a_claim_is_missing(self, client: FlaskClient, ehr: Ehr, claim: str) -> None:
        assert call(client, ehr.bearer(CALL, **{claim: ...})) == 401

    @pytest.mark.parametrize(
        "changes",
        [
            {"iss": "https://other.example"},
            {"exp": -2 * MINUTE},
            {"iat": 2 * MINUTE, "exp": 5 * MINUTE},
            {"nbf": 2 * MINUTE},
            {"exp": 61 * MINUTE},
            {"jti": ""},
            {"jti": "x" * 256},
            {"jti": 7},
            {"aud": []},
            {"aud": "https://cds.example"},
            {"aud": "https://evil.example" + CALL},
            {"aud": "http://cds.example" + CALL},
            {"aud": {"0": PUBLIC_URL + CALL}},
        ],
        ids=str,
    )
    def test_a_claim_is_wrong(self, client: FlaskClient, ehr: Ehr, changes: dict[str, Any]) -> None:
        now = int(time.time())
        times = {name: now + value for name, value in changes.items() if name in ("exp", "iat", "nbf")}
        assert call(client, ehr.bearer(CALL, **{**changes, **times})) == 401

    @pytest.mark.parametrize("header", [{"typ": ...}, {"typ": "at+jwt"}, {"kid": ...}, {"kid": "other"}], ids=str)
    def test_c70_the_header_is_wrong(self, client: FlaskClient, ehr: Ehr, header: dict[str, Any]) -> None:
        if header.get("typ") is ...:
            token = ehr.token(CALL, header={"typ": None})
            assert call(client, {"Authorization": f"Bearer {token}"}) == 401
        else:
            assert call(client, ehr.bearer(CALL, header=header)) == 401

    @pytest.mark.parametrize("kid", ["../../etc/passwd", "' OR 1=1 --", "a" * 5000, "\x00"], ids=repr)
    def test_t5_a_kid_that_is_no_name(self, client: FlaskClient, ehr: Ehr, kid: str) -> None:
        assert call(client, ehr.bearer(CALL, header={"kid": kid})) == 401

    @pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "HS256", "HS384", "RS256", "ES256"])
    def test_c73_an_algorithm_that_proves_nothing(self, client: FlaskClient, ehr: Ehr, algorithm: str) -> None:
        token = unsigned({"alg": algorithm, "typ": "JWT", "kid": ehr.kid}, ehr.claims(CALL))
        assert call(client, {"Authorization": f"Bearer {token}"}) == 401

    def test_t5_the_public_key_as_a_shared_secret(self, client: FlaskClient, ehr: Ehr) -> None:
        """HS256 signed with the bytes of the public key, in each form that an attacker has."""
        pem = ehr.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for secret in (pem, pem.strip(), json.dumps(ehr.jwks["keys"][0]).encode()):
            begin = unsigned({"alg": "HS256", "typ": "JWT", "kid": ehr.kid}, ehr.claims(CALL)).rstrip(".")
            signature = hmac.new(secret, begin.encode(), hashlib.sha256).digest()
            sealed = f"{begin}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
            assert call(client, {"Authorization": f"Bearer {sealed}"}) == 401

    @pytest.mark.parametrize("member", ["jwk", "x5u", "x5c"])
    def test_t5_a_key_that_the_token_brings_itself(self, client: FlaskClient, ehr: Ehr, member: str) -> None:
        stranger = ec_key()
        brought = {"jwk": public_jwk(stranger, ehr.kid), "x5u": "https://evil.example/x", "x5c": ["MIIB"]}[member]
        assert call(client, ehr.bearer(CALL, key=stranger, header={member: brought})) == 401

    def test_the_signature_is_anothers(self, client: FlaskClient, ehr: Ehr) -> None:
        assert call(client, ehr.bearer(CALL, key=ec_key())) == 401

    @pytest.mark.parametrize(
        "authorization",
        ["", "Bearer", "Bearer ", "Basic dTpw", "Bearer a.b", "Bearer a.b.c", "Bearer ...", "Bearer " + "a" * 9000],
    )
    def test_what_is_no_token(self, client: FlaskClient, authorization: str) -> None:
        assert call(client, {"Authorization": authorization}) == 401

    def test_the_answer_says_nothing_about_why(self, client: FlaskClient, ehr: Ehr) -> None:
        """C77, T29: the body is the same for every kind of refusal."""
        bodies = {
            client.post(CALL, json=a_call(), headers=headers).data
            for headers in ({}, ehr.bearer(FEEDBACK), ehr.bearer(CALL, key=ec_key()), ehr.bearer(CALL, iss="x"))
        }
        assert len(bodies) == 1


class TestClock:
    """T6, P-31: 60 s of skew, at most 60 minutes of life."""

    @pytest.mark.parametrize(
        ("changes", "status"),
        [
            ({"iat": -300, "exp": -30}, 200),
            ({"iat": 30, "exp": 330}, 200),
            ({"nbf": 30}, 200),
            ({"iat": -5, "nbf": -10, "exp": 900}, 200),  # Epic: nbf = iat - 5, 15 minutes
            ({"iat": 0, "exp": 3600}, 200),
            ({"iat": 0, "exp": 3601}, 401),
            ({"iat": -400, "exp": -90}, 401),
            ({"iat": 90, "exp": 400}, 401),
        ],
        ids=str,
    )
    def test_skew_and_life(self, client: FlaskClient, ehr: Ehr, changes: dict[str, int], status: int) -> None:
        now = int(time.time())
        assert call(client, ehr.bearer(CALL, **{name: now + value for name, value in changes.items()})) == status


class TestReplay:
    def test_c77_a_token_is_accepted_once(self, client: FlaskClient, ehr: Ehr) -> None:
        headers = ehr.bearer(CALL)
        assert [call(client, headers) for _ in range(3)] == [200, 401, 401]

    def test_the_same_id_in_a_new_token_is_a_replay(self, client: FlaskClient, ehr: Ehr) -> None:
        assert call(client, ehr.bearer(CALL, jti="once")) == 200
        assert client.get(DISCOVERY, headers=ehr.bearer(DISCOVERY, jti="once")).status_code == 401

    def test_after_a_restart_it_is_still_used(
        self, client: FlaskClient, trusting: Trusting, ehr: Ehr, tmp_path: Path
    ) -> None:
        headers = ehr.bearer(CALL)
        assert call(client, headers) == 200
        again = Store(trusting.settings.database_url)
        assert call(trusting.client(tmp_path / "clients.toml", store=again), headers) == 401
        again.close()

    def test_t39_p34_without_its_memory_nothing_is_accepted(
        self, client: FlaskClient, store: Store, ehr: Ehr, service: StandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> bool:
            raise StoreUnavailable("The store cannot be used now.")

        monkeypatch.setattr(store, "first_use", broken)
        assert call(client, ehr.bearer(CALL)) == 503
        assert service.requests == []


class TestAudience:
    """T7, P-31: what a token must be for comes from the settings alone."""

    @pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host", "Forwarded", "X-Original-Host"])
    def test_no_header_changes_it(self, client: FlaskClient, ehr: Ehr, header: str) -> None:
        value = "host=evil.example" if header == "Forwarded" else "evil.example"
        token = ehr.token(CALL, aud="https://evil.example" + CALL)
        assert call(client, {"Authorization": f"Bearer {token}", header: value}) == 401
        assert call(client, {**ehr.bearer(CALL), header: value}) == 200

    def test_one_of_several(self, client: FlaskClient, ehr: Ehr) -> None:
        assert call(client, ehr.bearer(CALL, aud=["https://other.example", PUBLIC_URL + CALL])) == 200

    def test_typed_by_hand_it_replaces_ours(self, trusting: Trusting, ehr: Ehr, tmp_path: Path) -> None:
        clients = write_clients(tmp_path, ehr, '[client.audiences]\nservice = ["atrophy"]')
        client = trusting.client(clients)
        assert call(client, ehr.bearer(CALL, aud="atrophy")) == 200
        assert call(client, ehr.bearer(CALL)) == 401
        assert client.get(DISCOVERY, headers=ehr.bearer(DISCOVERY)).status_code == 200

    @pytest.mark.parametrize("public", ["https://CDS.example", "https://cds.example:443", "https://cds.example/"])
    def test_spellings_of_our_own_address(self, trusting: Trusting, ehr: Ehr, tmp_path: Path, public: str) -> None:
        assert call(trusting.client(write_clients(tmp_path, ehr), public), ehr.bearer(CALL)) == 200


class TestRsa:
    """C74: RS384 as well as ES384."""

    def test_rs384_is_accepted(self, trusting: Trusting, ehr: Ehr, tmp_path: Path) -> None:
        ehr.key = rsa_key()
        client = trusting.client(write_clients(tmp_path, ehr))
        assert call(client, ehr.bearer(CALL)) == 200
        assert call(client, ehr.bearer(CALL, header={"alg": "RS256"})) == 401

    @pytest.mark.filterwarnings("ignore:The RSA key is 1024")
    def test_a_short_key_is_not(self, trusting: Trusting, ehr: Ehr, tmp_path: Path) -> None:
        ehr.key = rsa_key(1024)
        client = trusting.client(write_clients(tmp_path, ehr))
        assert call(client, ehr.bearer(CALL)) == 401


class TestTwoClients:
    @pytest.fixture
    def other(self) -> Ehr:
        return Ehr("https://other.example/cds")

    @pytest.fixture
    def client(self, trusting: Trusting, ehr: Ehr, other: Ehr, tmp_path: Path) -> FlaskClient:
        clients = write_clients(tmp_path, ehr, 'origins = ["https://ehr.example"]\ncalls_per_minute = 5')
        (tmp_path / "other.jwks.json").write_text(json.dumps(other.jwks))
        with clients.open("a") as file:
            file.write(
                f'[[client]]\nid = "other"\nissuer = "{other.issuer}"\nkeys_file = "other.jwks.json"\n'
                'origins = ["https://other.example"]\n'
            )
        return trusting.client(clients)

    def test_t5_the_key_of_one_signs_nothing_for_the_other(self, client: FlaskClient, ehr: Ehr, other: Ehr) -> None:
        assert call(client, ehr.bearer(CALL, key=other.key)) == 401
        assert call(client, other.bearer(CALL)) == 200

    def test_the_same_token_id_of_two_issuers_is_no_replay(self, client: FlaskClient, ehr: Ehr, other: Ehr) -> None:
        assert call(client, ehr.bearer(CALL, jti="one")) == 200
        assert call(client, other.bearer(CALL, jti="one")) == 200

    def test_p21_a_preflight_answers_for_all_and_the_call_for_its_own_pages(
        self, client: FlaskClient, ehr: Ehr, service: StandIn
    ) -> None:
        for origin in ("https://ehr.example", "https://other.example"):
            preflight = client.options(CALL, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
            assert preflight.headers["Access-Control-Allow-Origin"] == origin
        foreign = client.post(CALL, json=a_call(), headers={**ehr.bearer(CALL), "Origin": "https://other.example"})
        assert foreign.status_code == 403
        assert foreign.headers["Access-Control-Allow-Origin"] == "https://other.example"
        assert service.requests == []
        own = client.post(CALL, json=a_call(), headers={**ehr.bearer(CALL), "Origin": "https://ehr.example"})
        assert own.status_code == 200

    def test_t30_one_over_its_limit_leaves_the_other_alone(self, client: FlaskClient, ehr: Ehr, other: Ehr) -> None:
        # The minute may turn between two calls: eleven calls hold more than one full minute's worth.
        answers = [client.post(CALL, json=a_call(), headers=ehr.bearer(CALL)) for _ in range(11)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused
        assert {answer.status_code for answer in answers} == {200, 429}
        assert 1 <= int(refused[0].headers["Retry-After"]) <= 60
        assert call(client, other.bearer(CALL)) == 200
