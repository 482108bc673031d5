"""Which servers may be contacted for a CDS Client, and at which addresses (P-24, P-25, P-30, T1 to T4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from cds_service.fhir.addresses import (
    Address,
    Network,
    Place,
    is_public,
    never_contacted,
    open_mode_allows,
    open_mode_connects,
    place_of,
    same_spelling,
)
from cds_service.fhir.connections import Transport
from cds_service.prefetch.access import OPEN_MODE, FetchTerms
from cds_service.trust.clients import CdsClient, FhirServer


class Reach(NamedTuple):
    """A FHIR base as we spell it, whether it may be contacted, and what holds there."""

    base: str
    allowed: bool
    terms: FetchTerms


class Outbound(Protocol):
    """What may be contacted."""

    def reach(self, client: CdsClient, fhir_server: str) -> Reach:
        """What holds for the ``fhirServer`` of a call."""

    def connects(self, host: str, address: Address) -> bool:
        """Whether this address of a host may be connected to."""

    @property
    def transports(self) -> Mapping[str, Transport]:
        """By FHIR base how it is reached."""


class OpenMode:
    """Loopback by http or https, public hosts by https, nothing else; no token needed (P-24)."""

    transports: Mapping[str, Transport] = {}

    def reach(self, _client: CdsClient, fhir_server: str) -> Reach:
        """Any server that the open mode may contact."""
        return Reach(same_spelling(fhir_server), open_mode_allows(fhir_server), OPEN_MODE)

    def connects(self, host: str, address: Address) -> bool:
        """No name but localhost means ourselves."""
        return open_mode_connects(host, address)


class ListedServers:
    """Only what stands in the entry of the calling client (P-25). Looks no name up before it is listed."""

    def __init__(self, clients: Iterable[CdsClient]) -> None:
        clients = tuple(clients)
        self._networks: dict[str, tuple[Network, ...]] = {
            place.host: server.allowed_networks
            for client in clients
            for server in client.servers
            if (place := place_of(server.url)) is not None
        }
        self._listed: dict[tuple[str, Place | None], FhirServer] = {
            (client.id, place_of(spelling)): server
            for client in clients
            for server in client.fhir
            for spelling in (server.base, *server.aliases)
        }
        self.transports: Mapping[str, Transport] = {
            server.base: server.transport for client in clients for server in client.fhir
        }

    def reach(self, client: CdsClient, fhir_server: str) -> Reach:
        """The listed server that is meant, in its listed spelling."""
        place = place_of(fhir_server)
        server = self._listed.get((client.id, place)) if place else None
        base = server.base if server else same_spelling(fhir_server)
        return Reach(base, server is not None, client.terms(server))

    def connects(self, host: str, address: Address) -> bool:
        """Public addresses, or those that the entry names; link-local and metadata addresses never."""
        networks = self._networks.get(host.lower())
        if networks is None or never_contacted(address):
            return False
        return any(address in network for network in networks) if networks else is_public(address)
