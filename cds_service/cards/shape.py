"""One clinical result in the shape that a CDS Client can show: text, suggestions, orders (C51, C52, C80)."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping

import msgspec

from cds_service.cards.knowledge import CardDeck
from cds_service.cards.order_knowledge import Order
from cds_service.cards.profiles import ClientProfile
from cds_service.cds_hooks.response import Suggestion

_HEADING = re.compile(r"^\*\*(.+?)\*\*", re.MULTILINE)
_ESCAPED = re.compile(r"\\([\\`*_\[\]|~#$.)+=-])")
_TAG_START = re.compile(r"<(?=[A-Za-z/!?])")


class OrderCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the site's own system calls an order, such as an item of a preference list."""

    system: str
    code: str


def deck_for(deck: CardDeck, profile: ClientProfile, codes: Mapping[str, OrderCode]) -> CardDeck:
    """The deck with every order as this client can take it: with the site's code, or as text, never a dead button."""
    orders = {key: _order_for(order, profile, codes.get(key)) for key, order in deck.orders.orders.items()}
    return msgspec.structs.replace(deck, orders=msgspec.structs.replace(deck.orders, orders=orders))


def detail_for(markdown: str, profile: ClientProfile) -> str:
    """The text of a card as this client shows it."""
    return plain_text(markdown) if profile.detail == "plain" else markdown


def suggestions_for(suggestions: Iterable[Suggestion], profile: ClientProfile) -> tuple[Suggestion, ...]:
    """Where suggestions exclude each other at most one, the first, is recommended (C52)."""
    made = tuple(suggestions)
    if profile.selection_behavior == "any":
        return made
    first = next((at for at, one in enumerate(made) if one.isRecommended), None)
    return tuple(
        one if at == first or not one.isRecommended else one.model_copy(update={"isRecommended": None})
        for at, one in enumerate(made)
    )


def plain_text(markdown: str) -> str:
    """Our own Markdown without its marks. Text from a chart stays text even where a reader takes it for HTML (T11)."""
    unmarked = _ESCAPED.sub(r"\1", _HEADING.sub(r"\1:", markdown))
    return _TAG_START.sub("< ", html.unescape(unmarked))


def _order_for(order: Order, profile: ClientProfile, code: OrderCode | None) -> Order:
    resource = order.resource
    if resource is None or not profile.suggestions or (code is None and profile.local_order_codes == "required"):
        return msgspec.structs.replace(order, resource=None)
    if code is None:
        return order
    ours, *others = resource["code"]["coding"]
    local = {"system": code.system, "code": code.code, "display": order.written.label}
    coded = {**resource, "code": {**resource["code"], "coding": [ours, local, *others]}}
    return msgspec.structs.replace(order, resource=coded)
