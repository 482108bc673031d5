"""``atrophy-cds clients``: what each CDS Client may do; keys and tokens of one's own, for trying the service."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import click
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cds_service.cards.knowledge import CardDeck
from cds_service.cards.profiles import profile_named
from cds_service.cards.shape import deck_for
from cds_service.errors import SettingsError
from cds_service.service import load_rule_pack
from cds_service.settings import Settings
from cds_service.trust import CdsClient, ListedServers, read_clients
from cds_service.trust.key_sets import KeySets

KEYS_NOT_READ = 1
_ALGORITHM = "ES384"
_TOKEN_SECONDS = 300
_REPEATS = {
    "until-answered": "shown again at each call",
    "once": "shown once, then hidden while unchanged; critical ones shown again",
}


def check_clients(path: Path | None) -> int:
    """Print a table for each client. 0, or 1 when keys of one cannot be read. Raises SettingsError for the file."""
    if path is None:
        raise SettingsError("Name the file of the CDS Clients, or set ATROPHY_CDS_CLIENTS_FILE.")
    clients = read_clients(path)
    keys = KeySets(clients, ListedServers(clients))
    settings = Settings.from_environment()
    deck = load_rule_pack(settings.rules_dir, settings.today()).deck
    console = Console()
    unread = 0
    for client in clients:
        table = Table(title=client.id, title_justify="left", show_header=False)
        for name, value in _agreed(client):
            table.add_row(name, escape(value))
        table.add_row("text only", escape(", ".join(_not_ordered(client, deck)) or "no order"))
        for key_set in client.key_sets:
            with console.status(f"Reading {key_set.url}"):
                found = keys.read_now(key_set.url)
            unread += not found
            table.add_row("keys", escape(f"{key_set.url}: {len(found)}" if found else f"{key_set.url}: NOT READ"))
        console.print(table)
    click.echo(f"{len(clients)} clients, {unread} key sets not read")
    return KEYS_NOT_READ if unread else 0


def _not_ordered(client: CdsClient, deck: CardDeck) -> list[str]:
    """Orders that would be buttons elsewhere and are text for this client."""
    orders = deck_for(deck, profile_named(client.profile), client.order_codes).orders.orders
    return [key for key, order in orders.items() if order.resource is None and deck.orders.orders[key].resource]


def _agreed(client: CdsClient) -> Iterator[tuple[str, str]]:
    yield "issuer", client.issuer + (f" (tenants {', '.join(client.tenants)})" if client.tenants else "")
    yield "profile", client.profile
    for server in client.fhir:
        where = ", ".join(server.networks) or "public addresses"
        tls = " WITHOUT TLS" if server.insecure_http else ""
        yield "may be read", f"{server.base} at {where}{tls}"
    if not client.fhir:
        yield "may be read", "nothing: prefetch only"
    yield "without a token", "yes" if client.anonymous_fhir else "no"
    yield "limits", f"{client.calls_per_minute} calls a minute, {client.deadline_seconds:g} s a call"
    yield "web pages", ", ".join(client.origins) or "none"
    yield "links to", ", ".join(client.link_hosts) or "nowhere"
    yield "unanswered cards", _REPEATS[client.repeat]
    yield "timeline", client.timeline_url or "as in the settings"
    yield "rules off", ", ".join(client.rules_off) or "none"
    yield from _governed(client)
    if client.keys_file:
        yield "keys", client.keys_file


def _governed(client: CdsClient) -> Iterator[tuple[str, str]]:
    """What is hidden from its users although it is asked (B-52)."""
    if client.silent is not None:
        yield "silent", f"{', '.join(client.silent.rules)}, for {client.silent.share_of_users:.0%} of the users"
    if client.budget is not None:
        day, week = client.budget.cards_per_patient_day, client.budget.cards_per_user_week
        limits = ((day, "per patient in 24 hours"), (week, "per user in 7 days"))
        yield "most cards", ", ".join(f"{most} {what}" for most, what in limits if most is not None)


def new_key(name: Path) -> int:
    """Write ``NAME.pem`` (private, for its owner only) and ``NAME.jwks.json``, unless they are there already."""
    private, public = name.with_suffix(".pem"), name.with_suffix(".jwks.json")
    if private.exists():
        click.echo(f"{private} is there already; nothing was changed")
        return 0
    key = ec.generate_private_key(ec.SECP384R1())
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    jwk = {**json.loads(ECAlgorithm.to_jwk(key.public_key())), "kid": _kid(name), "alg": _ALGORITHM, "use": "sig"}
    public.write_text(json.dumps({"keys": [jwk]}, indent=2) + "\n", encoding="utf-8")
    click.echo(f"{private} is secret; {public} is for `keys_file` or for publishing")
    return 0


def new_token(key: Path, issuer: str, url: str) -> int:
    """Print a token for one request to ``url``, signed with a key of :func:`new_key`; good for five minutes, once."""
    now = int(time.time())
    claims = {"iss": issuer, "aud": url, "iat": now, "exp": now + _TOKEN_SECONDS, "jti": str(uuid.uuid4())}
    click.echo(jwt.encode(claims, key.read_bytes(), _ALGORITHM, headers={"kid": _kid(key), "typ": "JWT"}))
    return 0


def _kid(name: Path) -> str:
    return name.with_suffix("").name
