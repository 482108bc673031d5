"""Reads what became of the cards: the feedback endpoint's body, as the specification, Epic and the sandbox send it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec

from cds_service.cds_hooks import strict_json
from cds_service.cds_hooks.request import UUID
from cds_service.errors import BadRequest

MAX_ITEMS = 1000  # C67, T20
MAX_BYTES = 2 * 1024 * 1024  # a thousand items with a comment of two thousand characters each
MAX_COMMENT = 2000
_MAX_CODE = 255
_FURTHEST_AHEAD = timedelta(hours=24)  # P-22

_CONTROL = dict.fromkeys(ord(sign) for sign in map(chr, range(32)) if sign not in "\t\n\r")

# Epic sends a reason that the site made up itself in an extension of this name, without a coding.
_EPIC_REASON = "com.epic.cdshooks.feedback.overrideReason.reasonCategory"

Outcome = Literal["accepted", "overridden"]


class FeedbackItem(msgspec.Struct, frozen=True):
    """What a user did with one card (C65). ``outcome_timestamp`` is UTC; uuids are in lower case.

    ``reason_code`` and ``reason_system`` are None where no coded reason came (C66). ``comment`` is free text and may
    hold patient data: it is cut at 2,000 characters and kept only if the site asks for it (P-22).
    """

    card: str
    outcome: Outcome
    outcome_timestamp: datetime
    accepted_suggestions: tuple[str, ...] = ()
    reason_code: str | None = None
    reason_system: str | None = None
    comment: str | None = None

    def __repr__(self) -> str:
        return f"FeedbackItem(card={self.card!r}, outcome={self.outcome!r})"


class _Batch(msgspec.Struct):
    feedback: list[msgspec.Raw]


class _Accepted(msgspec.Struct):
    id: str


class _Coding(msgspec.Struct):
    code: str | None = None
    system: str | None = None


class _Reason(msgspec.Struct, rename="camel"):
    reason: _Coding | None = None
    user_comment: str | None = None
    extension: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Item(msgspec.Struct, rename="camel"):
    card: str
    outcome: Outcome
    outcome_timestamp: str
    accepted_suggestions: list[_Accepted] | None = None
    override_reason: _Reason | list[_Reason] | None = None
    override_reasons: _Reason | list[_Reason] | None = None


_BATCH = msgspec.json.Decoder(_Batch)
_ITEM = msgspec.json.Decoder(_Item)
_INSTANT = Annotated[datetime, msgspec.Meta(tz=True)]


def parse_feedback(body: bytes, received_at: datetime) -> tuple[FeedbackItem, ...]:
    """Read a batch, whole or not at all: :class:`BadRequest` names the index of the first malformed item (P-22)."""
    batch = strict_json.decode(body, _BATCH).feedback
    if len(batch) > MAX_ITEMS:
        raise BadRequest(f"`feedback` may hold at most {MAX_ITEMS} items.")
    latest = received_at + _FURTHEST_AHEAD
    return tuple(_item(raw, f"feedback[{index}]", latest) for index, raw in enumerate(batch))


def _item(raw: msgspec.Raw, where: str, latest: datetime) -> FeedbackItem:
    item = strict_json.decode(raw, _ITEM, where)
    if not UUID.fullmatch(item.card):
        raise BadRequest(f"`{where}.card` must be the uuid of a card.")
    reason = _first_reason(item)
    code, system = _coded(reason, where)
    return FeedbackItem(
        card=item.card.lower(),
        outcome=item.outcome,
        outcome_timestamp=_timestamp(item.outcome_timestamp, where, latest),
        accepted_suggestions=_accepted(item, where),
        reason_code=code,
        reason_system=system,
        comment=(reason.user_comment or "")[:MAX_COMMENT].translate(_CONTROL) or None,
    )


def _timestamp(text: str, where: str, latest: datetime) -> datetime:
    """Any RFC 3339 offset, as UTC; more than 24 hours ahead of us is refused (P-22)."""
    try:
        instant = msgspec.convert(text, _INSTANT).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):  # OverflowError: the first and last day that a datetime can hold
        raise BadRequest(f"`{where}.outcomeTimestamp` must be an RFC 3339 date and time with its offset.") from None
    if instant > latest:
        raise BadRequest(f"`{where}.outcomeTimestamp` is more than 24 hours ahead.")
    return instant


def _accepted(item: _Item, where: str) -> tuple[str, ...]:
    """The uuids of accepted suggestions; an accepted card names at least one (C65)."""
    if item.outcome != "accepted":
        return ()
    ids = tuple(suggestion.id.lower() for suggestion in item.accepted_suggestions or ())
    if not ids or not all(map(UUID.fullmatch, ids)):
        raise BadRequest(f"`{where}.acceptedSuggestions` must hold the uuid of each accepted suggestion as `id`.")
    return ids


def _first_reason(item: _Item) -> _Reason:
    """``overrideReason`` of the specification or ``overrideReasons`` of Epic, an object or a list (C66)."""
    for given in (item.override_reason, item.override_reasons):
        reason = (given[0] if given else None) if isinstance(given, list) else given
        if reason is not None:
            return reason
    return _Reason()


def _coded(reason: _Reason, where: str) -> tuple[str | None, str | None]:
    """Code and system of the reason; the sandbox leaves the system out, Epic's own reasons have only an extension."""
    coding = reason.reason or _Coding()
    code, system = coding.code or None, coding.system or None
    if code is None and (local := _epic_reason(reason.extension)) is not None:
        code, system = local, _EPIC_REASON
    if not all(len(text) <= _MAX_CODE and text.isprintable() for text in (code or "", system or "")):
        raise BadRequest(
            f"`{where}.overrideReason.reason` must have a code and system of at most {_MAX_CODE} visible characters."
        )
    return code, system


def _epic_reason(extension: msgspec.Raw | msgspec.UnsetType) -> str | None:
    if isinstance(extension, msgspec.UnsetType):
        return None
    try:
        category = msgspec.json.decode(extension, type=dict[str, msgspec.Raw]).get(_EPIC_REASON)
        return msgspec.json.decode(category, type=str) if category is not None else None
    except strict_json.UNREADABLE:
        return None  # an extension that we do not understand is ignored (C61)
