"""The answer to a hook call: cards, suggestions, actions and links that cannot break CDS Hooks (C42-C61)."""

# ruff: noqa: N815 - fields carry the specification's own camelCase names

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, model_validator

from cds_service.cds_hooks.request import UUID

Indicator = Literal["info", "warning", "critical"]
SelectionBehavior = Literal["any", "at-most-one"]
Json = dict[str, Any]

MAX_SUMMARY = 139  # C44: fewer than 140, counted as JavaScript does
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_NEXT_SENTENCE = re.compile(r"(?<!e\.g)(?<!i\.e)[.!?]\s+[A-Z]")
_EXTENSION_NAME = re.compile(r"[a-z][a-z0-9-]*(\.[A-Za-z0-9-]+)+")


def _one_sentence(text: str) -> str:
    if len(text.encode("utf-16-le")) // 2 > MAX_SUMMARY:
        raise ValueError("a summary has fewer than 140 characters (C44)")
    if "\n" in text or _NEXT_SENTENCE.search(text):
        raise ValueError("a summary is one sentence (C44)")
    return text


def _uuid(text: str) -> str:
    if not UUID.fullmatch(text):
        raise ValueError("must be a UUID (C50)")
    return text


def _link_target(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError("must be an absolute https URL, or http on this machine (C47, T26)")
    if not parts.hostname or "@" in parts.netloc:
        raise ValueError("must name a host and no user (T26)")
    return url


def _extension_names(extension: Json) -> Json:
    if not all(map(_EXTENSION_NAME.fullmatch, extension)):
        raise ValueError("names in an extension are reverse-domain (C61)")
    return extension


Text = Annotated[str, StringConstraints(min_length=1)]
Uuid = Annotated[str, AfterValidator(_uuid)]
Url = Annotated[str, AfterValidator(_link_target)]
Extension = Annotated[Json, AfterValidator(_extension_names)]


class _Element(BaseModel):
    """Frozen, and refuses fields that the specification does not have."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Coding(_Element):
    """A code and its system; here the topic of a card (C48)."""

    code: Text
    system: Text
    display: str | None = None


class OverrideReason(_Element):
    """A reason that a user may give for not following a card: all three parts (C56)."""

    code: Text
    system: Text
    display: Text


class Source(_Element):
    """Where the advice comes from (C46-C48)."""

    label: Text
    url: Url | None = None
    icon: Url | None = None
    topic: Coding | None = None


class Action(_Element):
    """What happens in the CDS Client when a suggestion is accepted (C53-C55)."""

    type: Literal["create", "update", "delete"]
    description: Text
    resource: Json | None = None
    resourceId: str | None = None
    extension: Extension | None = None

    @model_validator(mode="after")
    def _carries_what_its_type_needs(self) -> Action:
        if self.type == "delete":
            _demand(bool(self.resourceId) and self.resource is None, "delete has a resourceId and no resource (C55)")
            return self
        resource = self.resource or {}
        _demand("resourceType" in resource and self.resourceId is None, "create and update carry a resource (C54)")
        _demand((self.type == "update") == ("id" in resource), "update has an id in its resource, create none (C54)")
        return self


class Suggestion(_Element):
    """One thing that a user may accept (C52)."""

    label: Text
    uuid: Uuid
    isRecommended: bool | None = None
    actions: tuple[Action, ...] = ()


class Link(_Element):
    """A page, or a SMART app (C57-C59)."""

    label: Text
    url: Url
    type: Literal["absolute", "smart"]
    appContext: str | None = None
    autolaunchable: bool | None = None

    @model_validator(mode="after")
    def _only_a_smart_app_has_context(self) -> Link:
        _demand(not self.appContext or self.type == "smart", "appContext only on smart links (C58)")
        return self


class Card(_Element):
    """One piece of advice (C44-C59). ``detail`` is GitHub Flavored Markdown (C49)."""

    uuid: Uuid
    summary: Annotated[Text, AfterValidator(_one_sentence)]
    detail: str | None = None
    indicator: Indicator
    source: Source
    suggestions: tuple[Suggestion, ...] = ()
    selectionBehavior: SelectionBehavior | None = None
    overrideReasons: tuple[OverrideReason, ...] = ()
    links: tuple[Link, ...] = ()
    extension: Extension | None = None

    @model_validator(mode="after")
    def _suggestions_can_be_selected(self) -> Card:
        if not self.suggestions:
            return self
        _demand(self.selectionBehavior is not None, "suggestions need a selectionBehavior (C51)")
        recommended = sum(suggestion.isRecommended is True for suggestion in self.suggestions)
        _demand(self.selectionBehavior == "any" or recommended <= 1, "at-most-one has at most one recommended (C52)")
        return self


class Response(_Element):
    """The body of a 200 (C42). ``cards`` is there even when it is empty (C43)."""

    cards: tuple[Card, ...] = ()
    extension: Extension | None = None

    @model_validator(mode="after")
    def _uuids_are_unique(self) -> Response:
        uuids = [card.uuid for card in self.cards]
        uuids += [suggestion.uuid for card in self.cards for suggestion in card.suggestions]
        _demand(len(uuids) == len(set(uuids)), "uuids are unique within an answer (C50)")
        return self


def _demand(holds: bool, rule: str) -> None:
    if not holds:
        raise ValueError(rule)


# A text may hold these characters too: then the body is walked for nothing, which costs time and changes nothing.
_SIGNS_OF_NOTHING = (b'""', b"[]", b"{}", b"null")


def encode(response: Response) -> bytes:
    """The JSON body, without null, "", [] or {} anywhere except ``cards: []`` (C2, C3)."""
    encoded = response.model_dump_json(exclude_defaults=True).encode()
    # From its end: CPython searches JSON thrice as fast as from its beginning.
    if response.cards and all(encoded.rfind(sign) < 0 for sign in _SIGNS_OF_NOTHING):
        return encoded
    body = without_empty(response.model_dump(exclude_defaults=True)) or {}
    return msgspec.json.encode({"cards": [], **body})


def without_empty(value: Any) -> Any:
    """The same JSON value without empty parts; None when nothing is left (C2)."""
    if isinstance(value, dict):
        kept = {key: part for key, raw in value.items() if (part := without_empty(raw)) is not None}
        return kept or None
    if isinstance(value, list | tuple):
        return [part for raw in value if (part := without_empty(raw)) is not None] or None
    return None if value == "" else value
