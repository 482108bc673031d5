"""P-25, P-30, T1, T2: outside the open mode only listed servers are contacted, and only at their addresses."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from cds_service.trust import CdsClient, FhirServer, KeySet, ListedServers

BASE = "https://fhir.ehr.example/r4"
EHR = CdsClient(
    id="ehr",
    fhir=(FhirServer(base=BASE, aliases=("https://proxy.example/r4",), networks=("10.20.0.0/16", "fd00:1::/64")),),
    key_sets=(KeySet(url="https://keys.ehr.example/jwks.json"),),
    accepted_gaps=frozenset({"medicationStatements"}),
)
OTHER = CdsClient(id="other", fhir=(FhirServer(base="https://fhir.other.example/r4"),))
SERVERS = ListedServers((EHR, OTHER))


@pytest.mark.parametrize(
    "spelling", [BASE, f"{BASE}/", "HTTPS://FHIR.ehr.example/r4", "https://fhir.ehr.example:443/r4", "https://proxy.example/r4"]
)  # fmt: skip
def test_a_listed_server_is_reached_in_its_listed_spelling(spelling: str) -> None:
    reach = SERVERS.reach(EHR, spelling)
    assert (reach.base, reach.allowed) == (BASE, True)
    assert reach.terms.accepted_gaps == {"medicationStatements"}
    assert reach.terms.aliases == ("https://proxy.example/r4",)


def test_p09_each_server_says_whether_its_cache_may_answer() -> None:
    cached = CdsClient(id="cached", fhir=(FhirServer(base="https://cache.example/r4", cached_answers=True),))
    transports = ListedServers((EHR, cached)).transports
    assert {base: transport.cached_answers for base, transport in transports.items()} == {
        BASE: False,
        "https://cache.example/r4": True,
    }


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://fhir.other.example/r4",  # another client's
        "http://fhir.ehr.example/r4",
        "https://fhir.ehr.example:8443/r4",
        "https://fhir.ehr.example/r4/tenant",
        "https://fhir.ehr.example",
        "https://fhir.ehr.example@evil.example/r4",
        "https://fhir.ehr.example./r4",
        "https://10.20.0.1/r4",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:8000/",
        "http://[::1]/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://[::ffff:127.0.0.1]/",
        "file:///etc/passwd",
    ],
)
def test_t1_anything_else_is_not(url: str) -> None:
    assert not SERVERS.reach(EHR, url).allowed


@pytest.mark.parametrize(
    ("host", "address", "connects"),
    [
        ("fhir.ehr.example", "10.20.3.4", True),
        ("FHIR.ehr.example", "10.20.3.4", True),
        ("fhir.ehr.example", "fd00:1::7", True),
        ("fhir.ehr.example", "10.21.0.1", False),
        ("fhir.ehr.example", "93.184.216.34", False),  # its networks are named: nothing else is it
        ("fhir.ehr.example", "::ffff:10.20.3.4", False),
        ("keys.ehr.example", "93.184.216.34", True),
        ("keys.ehr.example", "2606:2800:220:1::1", True),
        ("keys.ehr.example", "127.0.0.1", False),
        ("keys.ehr.example", "10.20.3.4", False),
        ("keys.ehr.example", "169.254.169.254", False),
        ("keys.ehr.example", "fe80::1", False),
        ("nobody.example", "93.184.216.34", False),
    ],
)
def test_t2_a_name_is_believed_only_at_its_addresses(host: str, address: str, connects: bool) -> None:
    """A name that resolves to another address than agreed (rebinding) is not connected to."""
    assert SERVERS.connects(host, ip_address(address)) is connects


def test_metadata_addresses_are_never_contacted_even_when_a_wide_network_holds_them() -> None:
    wide = CdsClient(id="wide", fhir=(FhirServer(base=BASE, networks=("0.0.0.0/0", "::/0")),))
    servers = ListedServers((wide,))
    for address in ("169.254.169.254", "fe80::1", "fd00:ec2::254", "100.100.100.200"):
        assert not servers.connects("fhir.ehr.example", ip_address(address))
    assert servers.connects("fhir.ehr.example", ip_address("10.0.0.1"))


def test_p25_without_a_token_nothing_is_fetched_unless_agreed() -> None:
    assert SERVERS.reach(EHR, BASE).terms.anonymous is False
