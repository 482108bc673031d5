"""A CDS Client for tests: it has keys, signs tokens as EHRs do, and serves its JWK Set over real HTTP."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.serving import serving

PUBLIC_URL = "https://cds.example"
ISSUER = "https://ehr.example/cds"
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def ec_key() -> ec.EllipticCurvePrivateKey:
    """A key for ES384."""
    return ec.generate_private_key(ec.SECP384R1())


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key for RS384."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def public_jwk(key: PrivateKey, kid: str, **more: Any) -> dict[str, Any]:
    """The public half as it stands in a JWK Set."""
    algorithm = (
        jwt.algorithms.ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else jwt.algorithms.RSAAlgorithm
    )
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, **more}


class Ehr:
    """One CDS Client. ``kid`` is base64 with its odd signs, as Epic writes it."""

    def __init__(self, issuer: str = ISSUER, *, kid: str = "aB+/c9==", jku: str | None = None) -> None:
        self.issuer = issuer
        self.kid = kid
        self.jku = jku
        self.key: PrivateKey = ec_key()

    @property
    def jwks(self) -> dict[str, Any]:
        """Its JWK Set."""
        return {"keys": [public_jwk(self.key, self.kid)]}

    def claims(self, path: str, **changes: Any) -> dict[str, Any]:
        """The claims of a token for a path; a claim set to ... is left out."""
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": PUBLIC_URL + path, "iat": now, "exp": now + 300, "jti": str(uuid.uuid4())}
        return {name: value for name, value in (claims | changes).items() if value is not ...}

    def token(self, path: str, *, header: dict[str, Any] | None = None, key: Any = None, **changes: Any) -> str:
        """A signed token for a path, changed as a test needs it."""
        names = {"kid": self.kid, "typ": "JWT", **({"jku": self.jku} if self.jku else {}), **(header or {})}
        names = {name: value for name, value in names.items() if value is not ...}
        algorithm = names.pop("alg", "ES384" if isinstance(self.key, ec.EllipticCurvePrivateKey) else "RS384")
        return jwt.encode(self.claims(path, **changes), key or self.key, algorithm, headers=names)

    def bearer(self, path: str, **changes: Any) -> dict[str, str]:
        """The header of a request to a path."""
        return {"Authorization": f"Bearer {self.token(path, **changes)}"}


def write_clients(folder: Path, ehr: Ehr, more: str = "") -> Path:
    """A file of one client, ``ehr``, with its keys beside it. ``more`` is TOML of its entry."""
    (folder / "ehr.jwks.json").write_text(json.dumps(ehr.jwks))
    keys = f'key_sets = [{{ url = "{ehr.jku}", networks = ["127.0.0.0/8"], insecure_http = true }}]'
    keys = keys if ehr.jku else 'keys_file = "ehr.jwks.json"'
    path = folder / "clients.toml"
    path.write_text(f'[[client]]\nid = "ehr"\nissuer = "{ehr.issuer}"\n{keys}\n{more}\n')
    return path


class KeyServer:
    """Serves a JWK Set; counts how often it was asked."""

    def __init__(self) -> None:
        self.body: bytes = b"{}"
        self.status = 200
        self.headers: dict[str, str] = {}
        self.delay = 0.0
        self.asked = 0
        self.url = ""


@contextmanager
def key_server() -> Iterator[KeyServer]:
    """A KeyServer on loopback, while the block runs."""
    served = KeyServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked += 1
            time.sleep(served.delay)
            self.send_response(served.status)
            for name, value in served.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(served.body)))
            self.end_headers()
            self.wfile.write(served.body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}/jwks.json"
    with serving(server):
        yield served
