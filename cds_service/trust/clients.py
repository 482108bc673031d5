"""The CDS Clients that may call: one TOML file, each entry what was agreed with one EHR (P-25, P-30, P-31)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path

import msgspec

from cds_service.cards.links import CardLinks, allowed_links
from cds_service.cards.memory import Repeat
from cds_service.cards.profiles import profile_named
from cds_service.cards.shape import OrderCode
from cds_service.errors import SettingsError
from cds_service.fhir.addresses import Network, Place, never_contacted, place_of
from cds_service.fhir.connections import Transport
from cds_service.governance import Budget, SilentMode
from cds_service.prefetch.access import FetchTerms
from cds_service.record import SourceName
from cds_service.settings import LONGEST_DEADLINE, is_origin

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*")


class _Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class _Server(_Written, frozen=True, kw_only=True):
    """How a server is reached.

    ``networks`` (CIDR): the addresses its name may have; none means public ones. ``insecure_http`` lets it be plain
    http. Files of a CA bundle, a client certificate and its key; a proxy's URL (T32).
    """

    networks: tuple[str, ...] = ()
    insecure_http: bool = False
    ca_bundle: str | None = None
    certificate: str | None = None
    key: str | None = None
    proxy: str | None = None

    @property
    def transport(self) -> Transport:
        """The same for the connections."""
        return Transport(self.ca_bundle, self.certificate, self.key, self.proxy)

    @property
    def allowed_networks(self) -> tuple[Network, ...]:
        """``networks`` as networks. Raises ValueError."""
        return tuple(ip_network(network) for network in self.networks)


class FhirServer(_Server, frozen=True, kw_only=True):
    """A FHIR base URL that may be read for a client; ``aliases`` are other spellings of it (P-08).

    ``post_search``: it is searched by POST, so that no patient's id stands in the addresses of searches;
    ``cached_answers``: it may answer from its cache (P-09).
    """

    base: str
    aliases: tuple[str, ...] = ()
    post_search: bool = False
    cached_answers: bool = False

    @property
    def transport(self) -> Transport:
        """How it is reached."""
        return msgspec.structs.replace(super().transport, cached_answers=self.cached_answers)

    @property
    def url(self) -> str:
        """Its address."""
        return self.base

    @property
    def places(self) -> frozenset[Place | None]:
        """Where it is, in all its spellings; None for one that is no URL."""
        return frozenset(map(place_of, (self.base, *self.aliases)))


class KeySet(_Server, frozen=True, kw_only=True):
    """A JWK Set that holds a client's public keys; the only values its tokens may have as ``jku`` (C75)."""

    url: str


class Audiences(_Written, frozen=True, kw_only=True):
    """What stands in ``aud`` in place of our own URL; Epic's is typed by hand (P-31)."""

    discovery: tuple[str, ...] = ()
    service: tuple[str, ...] = ()
    feedback: tuple[str, ...] = ()
    explain: tuple[str, ...] = ()


class CdsClient(_Written, frozen=True, kw_only=True):
    """Who calls. In open mode there is one, named ``open`` (P-24).

    ``issuer`` and ``tenants`` are ``iss`` and ``tenant`` of its tokens; no tenants means that the claim is not looked
    at. Its keys are in ``key_sets``, or in ``keys_file`` when it has no ``jku`` (C76). ``profile`` shapes cards for
    what it can show. ``link_hosts``: the hosts that links on its cards may name (T26); ``timeline_url``: the launch
    address of a SMART app with the patient's timeline, unless it is that of the settings. ``order_codes``: by key of
    an order what the site's own system calls it. ``repeat``: whether a card that nobody answered is shown again;
    ``once`` is for a client that never sends feedback (A-16). ``silent``: what is asked and not shown; ``budget``: most
    cards (B-52).
    """

    id: str
    issuer: str = ""
    tenants: tuple[str, ...] = ()
    key_sets: tuple[KeySet, ...] = ()
    keys_file: str | None = None
    audiences: Audiences = Audiences()
    fhir: tuple[FhirServer, ...] = ()
    anonymous_fhir: bool = False
    accepted_gaps: frozenset[SourceName] = frozenset()
    retry_failed_prefetch: bool = False
    profile: str = "cds-hooks-2.0"
    deadline_seconds: float = 1.8
    calls_per_minute: int = 600
    max_body_bytes: int | None = None
    origins: tuple[str, ...] = ()
    link_hosts: tuple[str, ...] = ()
    timeline_url: str | None = None
    rules_off: tuple[str, ...] = ()
    order_codes: Mapping[str, OrderCode] = {}
    repeat: Repeat = "until-answered"
    silent: SilentMode | None = None
    budget: Budget | None = None

    @property
    def servers(self) -> tuple[FhirServer | KeySet, ...]:
        """Every server of the entry."""
        return (*self.fhir, *self.key_sets)

    def terms(self, server: FhirServer | None) -> FetchTerms:
        """What holds when this client's FHIR server is read."""
        return FetchTerms(
            anonymous=self.anonymous_fhir,
            aliases=server.aliases if server else (),
            accepted_gaps=self.accepted_gaps,
            retry_failed_prefetch=self.retry_failed_prefetch,
            post_search=server is not None and server.post_search,
        )


class _ClientsFile(_Written, frozen=True, kw_only=True):
    client: tuple[CdsClient, ...]


def read_clients(path: Path) -> tuple[CdsClient, ...]:
    """Every client of the file. Raises SettingsError for a key that is not known, a contradiction, or no client.

    A path in the file is looked up beside it.
    """
    try:
        clients = msgspec.toml.decode(path.read_bytes(), type=_ClientsFile).client
    except OSError:
        raise SettingsError(f"{path} cannot be read.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from None
    problem = next(itertools.chain(*map(_problems_of, clients), _problems_between(clients)), None)
    if not clients:
        problem = "no [[client]] is written"
    if problem:
        raise SettingsError(f"{path}: {problem}")
    return tuple(_beside(path.parent, client) for client in clients)


def _problems_of(client: CdsClient) -> Iterator[str]:
    """What is wrong with one entry, each as a sentence."""
    checks: tuple[tuple[bool, str], ...] = (
        (_ID.fullmatch(client.id) is not None, "its id must be small letters, digits and hyphens"),
        (client.id != "open", "the id `open` is that of the open mode"),
        (client.issuer != "", "`issuer` is missing"),
        (bool(client.key_sets or client.keys_file), "it has no keys: write [[client.key_sets]] or `keys_file`"),
        (0 < client.deadline_seconds <= LONGEST_DEADLINE, f"deadlines are above 0, at most {LONGEST_DEADLINE} s"),
        (client.calls_per_minute > 0, "`calls_per_minute` must be above 0"),
        ((client.max_body_bytes or 1) > 0, "`max_body_bytes` must be above 0"),
        (all(map(is_origin, client.origins)), "`origins` must list origins such as https://ehr.example"),
        (all(map(_HOST.fullmatch, client.link_hosts)), "`link_hosts` must list host names"),
        (_may_be_linked(client), "`timeline_url` must be an https URL at one of its `link_hosts` (T26)"),
        (not client.anonymous_fhir or bool(client.fhir), "`anonymous_fhir` without [[client.fhir]] means nothing"),
    )  # fmt: skip
    problems = [problem for holds, problem in checks if not holds]
    problems += _problems_of_governance(client)
    for server in client.servers:
        problems += _problems_of_server(server)
    for one, other in itertools.combinations(client.fhir, 2):
        if not one.places.isdisjoint(other.places):
            problems.append(f"{other.base!r} is written twice")
    try:
        profile_named(client.profile)
    except SettingsError as error:
        problems.append(str(error))
    yield from (f"client {client.id!r}: {problem}" for problem in problems)


def _may_be_linked(client: CdsClient) -> bool:
    """Whether the address of its timeline is none, or one that its cards may name."""
    allowed = CardLinks(timeline=client.timeline_url), profile_named("cds-hooks-2.0"), client.link_hosts
    return client.timeline_url is None or allowed_links(*allowed).timeline is not None


def _problems_of_governance(client: CdsClient) -> Iterator[str]:
    if client.silent is not None and not (client.silent.rules and 0 < client.silent.share_of_users <= 1):
        yield "`silent` needs `rules`, and a `share_of_users` above 0 and at most 1"
    if client.budget is not None:
        limits = [most for most in msgspec.structs.astuple(client.budget) if most is not None]
        if not limits or min(limits) < 1:
            yield "`budget` needs cards_per_patient_day or cards_per_user_week, each at least 1"


def _problems_of_server(server: FhirServer | KeySet) -> Iterator[str]:
    place = place_of(server.url)
    for url in (server.url, *(server.aliases if isinstance(server, FhirServer) else ())):
        if place_of(url) is None:
            yield f"{url!r} is not an http or https URL that is read in one way only"
    if place is None:
        return
    if (place.scheme == "http") != server.insecure_http:
        yield f"{server.url!r}: `insecure_http = true` belongs to plain http, and only there"
    if server.key and not server.certificate:
        yield f"{server.url!r}: a `key` needs its `certificate`"
    try:
        networks = server.allowed_networks
    except ValueError as error:
        yield f"{server.url!r}: {error}"
        return
    for network in filter(never_contacted, networks):
        yield f"{server.url!r}: {network} holds link-local or metadata addresses, which are never contacted"


def _problems_between(clients: Iterable[CdsClient]) -> Iterator[str]:
    """Two entries that cannot both hold: a token must mean one client, an address one way to it."""
    for one, other in itertools.combinations(clients, 2):
        if one.id == other.id:
            yield f"two clients have the id {one.id!r}"
        both = not one.tenants or not other.tenants or not set(one.tenants).isdisjoint(other.tenants)
        if one.issuer == other.issuer and both:
            yield f"clients {one.id!r} and {other.id!r}: the same issuer needs different `tenants`"
    servers = [server for client in clients for server in client.servers]
    for first, second in itertools.combinations(servers, 2):
        if _host(first.url) == _host(second.url) and _way(first) != _way(second):
            yield f"{first.url!r} and {second.url!r} are one host and must have the same `networks`"
        if first.url == second.url and first.transport != second.transport:
            yield f"{first.url!r} is reached in two ways: its files and its proxy must be the same everywhere"


def _host(url: str) -> str:
    place = place_of(url)
    return place.host if place else url


def _way(server: _Server) -> frozenset[str]:
    return frozenset(server.networks)


def _beside(folder: Path, client: CdsClient) -> CdsClient:
    """The client with its files' paths made whole."""
    whole: Callable[[str | None], str | None] = lambda name: str(folder / name) if name else None  # noqa: E731
    found = {
        field: tuple(
            msgspec.structs.replace(
                server,
                ca_bundle=whole(server.ca_bundle),
                certificate=whole(server.certificate),
                key=whole(server.key),
            )
            for server in getattr(client, field)
        )
        for field in ("fhir", "key_sets")
    }
    return msgspec.structs.replace(client, keys_file=whole(client.keys_file), **found)
