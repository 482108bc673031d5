"""Which FHIR servers may be contacted, and which URLs belong to the same server (P-08, P-24, P-30, T1, T2, T4)."""

from __future__ import annotations

import functools
import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOCALHOST = "localhost"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_URL_CHARACTERS = re.compile(r"[!-\[\]-~]+")  # visible ASCII without the backslash, which parsers read differently
_HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.IGNORECASE)
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.IGNORECASE)  # what resolvers take for (a part of) an IPv4 address
# What some server, or one behind it, takes for the end of a segment, and for "." and ".." (Tomcat cuts "..;a=b").
_SLASH = re.compile(r"/|%2f|%5c", re.IGNORECASE)
_DOT_SEGMENT = re.compile(r"(\.|%2e){1,2}(;.*)?", re.IGNORECASE)
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: carries any IPv4 address
# RFC 3927, RFC 4291: link-local. Then where clouds answer with credentials: AWS and Google over IPv6, Alibaba, Azure.
_NEVER = tuple(
    map(
        ip_network,
        (
            "169.254.0.0/16",
            "fe80::/10",
            "fd00:ec2::254/128",
            "fd20:ce::254/128",
            "100.100.100.200/32",
            "168.63.129.16/32",
        ),
    )
)


class Place(NamedTuple):
    """Where a URL points, in one spelling: lower case, the port written out, no slash at the end of the path."""

    scheme: str
    host: str
    port: int
    path: str


def place_of(url: str) -> Place | None:
    """The place of an http or https URL; None for a URL that two parsers could read in two ways (T1)."""
    if not _URL_CHARACTERS.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname
    if parts.scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc or port == 0:
        return None
    if "%" in host or not _is_clear(host):
        return None
    if any(map(_DOT_SEGMENT.fullmatch, _SLASH.split(parts.path))):
        return None
    return Place(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme], parts.path.rstrip("/"))


# Bases are few and name nobody; other URLs hold ids of patients and are not kept.
_place_of_base = functools.lru_cache(maxsize=256)(place_of)


def same_server(base: str, url: str) -> bool:
    """Whether ``url`` is under the FHIR base: same scheme, host and effective port, a path under its path (P-08)."""
    wanted, found = _place_of_base(base), place_of(url)
    if wanted is None or found is None or wanted[:3] != found[:3]:
        return False
    return found.path == wanted.path or found.path.startswith(wanted.path + "/")


def same_spelling(url: str) -> str:
    """A URL in the one spelling of its place; as it is when it has none."""
    place = place_of(url)
    if place is None:
        return url
    host = f"[{place.host}]" if ":" in place.host else place.host
    return f"{place.scheme}://{host}:{place.port}{place.path}"


def open_mode_allows(url: str) -> bool:
    """Whether ``--open`` may contact this server: loopback by http or https, public hosts by https (P-24).

    Looks nothing up: what a name resolves to is judged by :func:`open_mode_connects` when a connection is opened.
    """
    place = place_of(url)
    if place is None:
        return False
    address = _address_written(place.host)
    if place.host == LOCALHOST or (address is not None and address.is_loopback):
        return True
    return place.scheme == "https" and (address is None or is_public(address))


def open_mode_connects(host: str, address: Address) -> bool:
    """Whether ``--open`` may connect to this address of a host: no name but localhost means ourselves (T2)."""
    if host.lower() == LOCALHOST or _address_written(host) == address:
        return address.is_loopback or (host.lower() != LOCALHOST and is_public(address))
    return is_public(address)


def never_contacted(found: Address | Network) -> bool:
    """Whether an address is, or a network lies among, link-local or metadata addresses (P-30)."""
    if isinstance(found, IPv4Address | IPv6Address):
        carried = _carried_by(found)
        return any(found in network for network in _NEVER) or (carried is not None and never_contacted(carried))
    return any(found.version == network.version and found.subnet_of(network) for network in _NEVER)  # type: ignore[arg-type]  # the versions are the same


def is_public(address: Address) -> bool:
    """A unicast address of the public internet; none that carries another address inside."""
    if never_contacted(address) or _carried_by(address) is not None:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _carried_by(address: Address) -> IPv4Address | None:
    """The IPv4 address inside an IPv6 address that is mapped or translated to it."""
    if isinstance(address, IPv4Address):
        return None
    translated = IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or translated


def _address_written(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_clear(host: str) -> bool:
    """A name, or an address in its one plain spelling: not 0x7f.1, 2130706433, 127.1 or ::ffff:127.0.0.1 (T1)."""
    address = _address_written(host)
    if address is not None:
        return isinstance(address, IPv4Address) or address.ipv4_mapped is None
    return _HOST_NAME.fullmatch(host) is not None and not _NUMBER.fullmatch(host.rsplit(".", 1)[-1])
