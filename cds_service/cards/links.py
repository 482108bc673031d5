"""The links of a card: to the page that explains it, and to a SMART app with the patient's timeline (C57, C58, T26)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from cds_service.cards.knowledge import LinkWords
from cds_service.cards.profiles import ClientProfile
from cds_service.cds_hooks.response import Link
from cds_service.rule_engine.trace import CardTrace


class CardLinks(msgspec.Struct, frozen=True):
    """Addresses that the cards of one CDS Client may name; None: no such link.

    ``explain`` is the address of a card's page without the card's uuid, ``timeline`` that of a SMART app, ``source``
    that of a page about the service. No address holds a token, a name or an id of a patient.
    """

    explain: str | None = None
    timeline: str | None = None
    source: str | None = None


class _AppContext(msgspec.Struct, frozen=True):
    """What the app is told: which card, and which rules stand on it. Nothing of the patient."""

    card: str
    rules: tuple[str, ...]


NO_LINKS = CardLinks()


def allowed_links(links: CardLinks, profile: ClientProfile, hosts: Iterable[str]) -> CardLinks:
    """Those that the client can open, and whose hosts its entry allows (T26)."""
    allowed = frozenset(map(str.lower, hosts))
    return CardLinks(
        explain=links.explain if profile.absolute_links and host_of(links.explain) in allowed else None,
        timeline=links.timeline if profile.smart_links and host_of(links.timeline) in allowed else None,
        source=links.source if profile.absolute_links and host_of(links.source) in allowed else None,
    )


def host_of(url: str | None) -> str | None:
    """The host of an https address; None for anything else."""
    parts = urlsplit(url or "")
    return parts.hostname if parts.scheme == "https" else None


class Linked(Protocol):
    """For whom a card is made, as far as its links go."""

    @property
    def links(self) -> CardLinks: ...
    @property
    def profile(self) -> ClientProfile: ...


def links_of(uuid: str, trace: CardTrace, context: Linked, words: LinkWords) -> tuple[Link, ...]:
    """The links of one card."""
    links, made = context.links, []
    if links.explain is not None:
        made.append(Link(label=words.explain, url=f"{links.explain}/{uuid}", type="absolute"))
    if links.timeline is not None:
        told = msgspec.json.encode(_AppContext(uuid, tuple(rule.id for rule in trace.rules))).decode()
        made.append(
            Link(
                label=words.timeline,
                url=links.timeline,
                type="smart",
                appContext=told if context.profile.app_context else None,
            )
        )
    return tuple(made)
