"""``rules/orders.toml``: what can be suggested, read, checked and made ready once at start (G6-G8, G11, G13, B-53)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import msgspec
from fhir.resources.R4B.servicerequest import ServiceRequest
from pydantic import ValidationError

from cds_service.cds_hooks.response import Json
from cds_service.derive.pregnancy import PregnancyWindow
from cds_service.errors import RuleFileError
from cds_service.rule_engine.loader import ORDER_SYSTEM
from cds_service.rule_engine.written import line_of, read_struct

_TEMPLATE_SUBJECT = {"reference": "Patient/template"}


class _Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file: unknown keys are refused."""


class OrderCoding(_Written, frozen=True, kw_only=True):
    """A code that was seen with this display in the source that ``verified_by`` names."""

    system: str
    code: str
    display: str
    verified_by: str


class Caution(_Written, frozen=True, kw_only=True):
    """A sentence beside a suggestion, shown when the record holds an active condition or a low result.

    Without ``conditions`` and ``results`` it is always shown. ``within_days`` limits onset, recording or result date.
    """

    text: str
    conditions: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    below: float = 0
    units: tuple[str, ...] = ()
    within_days: int | None = None


class WrittenOrder(_Written, frozen=True, kw_only=True):
    """One ``[order.<key>]`` table.

    Days are look-back windows; None means ever. ``open_order_days`` limits how old an order that is still active may
    be to count (B-94). ``specialties`` are value sets that make it care already under way (G8), ``settled_by`` active
    conditions that answer the question the test asks.
    """

    label: str
    description: str
    group: Literal["laboratory", "test", "imaging", "referral", "assessment"]
    look_back_days: int | None = None
    abnormal_look_back_days: int | None = None
    open_order_days: int | None = None
    done_sets: tuple[str, ...] = ()
    done_needs: Literal["any", "all"] = "any"
    specialties: tuple[str, ...] = ()
    settled_by: tuple[str, ...] = ()
    needs_finding: bool = False
    ionising: bool = False
    priority: Literal["routine", "urgent", "asap", "stat"] | None = None
    codings: tuple[OrderCoding, ...] = ()
    details: tuple[OrderCoding, ...] = ()
    cautions: tuple[Caution, ...] = ()
    wanted: str | None = None


class Pregnancy(PregnancyWindow, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When pregnancy or a recent delivery is on record, and what to say then (G11, A-27, A-40, B-74)."""

    exempt_rules: tuple[str, ...]
    text: str
    exempt_text: str


class _OrderFile(_Written, frozen=True, kw_only=True):
    version: str
    owner: str
    checker: str
    review_by: str
    sources: tuple[str, ...]
    repeat_label: str
    pregnancy: Pregnancy
    order: Mapping[str, WrittenOrder]


class Order(msgspec.Struct, frozen=True):
    """An order made ready. ``resource`` is its ServiceRequest without subject; None when no code is verified (B-53).

    ``own_set`` is the value set of our own accepted suggestions. ``repeat_label`` is for B-84. ``watched_sets`` are all
    value sets that can show it to be done or under way (G6, G8).
    """

    key: str
    written: WrittenOrder
    own_set: str
    resource: Json | None
    repeat_label: str
    watched_sets: frozenset[str]


class OrderKnowledge(msgspec.Struct, frozen=True):
    """All orders by key, and when pregnancy changes what is offered."""

    version: str
    pregnancy: Pregnancy
    orders: Mapping[str, Order]

    def label(self, key: str) -> str:
        """The name of an order."""
        return self.orders[key].written.label

    @property
    def wanted(self) -> Mapping[str, str]:
        """Orders that are text for want of a verified code, and which code is wanted (B-53)."""
        return {key: order.written.wanted or "" for key, order in self.orders.items() if order.resource is None}


def load_order_knowledge(folder: Path, value_sets: Iterable[str]) -> OrderKnowledge:
    """Read ``orders.toml``. Raises RuleFileError for an unknown value set or an order that is not FHIR."""
    path = folder / "orders.toml"
    file = read_struct(path, _OrderFile)
    known = frozenset(value_sets)
    orders = {key: _ready(path, key, written, file.repeat_label) for key, written in file.order.items()}
    for key, order in orders.items():
        _refuse_unknown_sets(path, key, order.written, known)
    for name in (*file.pregnancy.sets, *file.pregnancy.delivery_sets):
        if name not in known:
            raise RuleFileError(path, line_of(path, "pregnancy", name), f"no value set is called {name!r}")
    return OrderKnowledge(file.version, file.pregnancy, orders)


def _ready(path: Path, key: str, written: WrittenOrder, repeat_label: str) -> Order:
    if not (written.codings or written.details or written.wanted):
        raise RuleFileError(path, line_of(path, f"order.{key}"), "an order without a code says which one is `wanted`")
    resource = _service_request(key, written) if written.codings or written.details else None
    if resource is not None:
        try:
            ServiceRequest.model_validate({**resource, "subject": _TEMPLATE_SUBJECT})
        except ValidationError as error:
            raise RuleFileError(path, line_of(path, f"order.{key}"), "does not make a ServiceRequest") from error
    own_set = f"order:{key}"
    watched = frozenset({own_set, *written.done_sets, *written.specialties})
    return Order(key, written, own_set, resource, repeat_label.format(label=written.label), watched)


def _service_request(key: str, written: WrittenOrder) -> Json:
    """The draft. Intent is ``proposal``: a suggestion that authorises nothing until a clinician turns it into an order.

    Our own key stands first, so that an accepted suggestion is recognised when it comes back.
    """
    own = {"system": ORDER_SYSTEM, "code": key, "display": written.label}
    resource: Json = {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": "proposal",
        "code": {"coding": [own, *(_coding(c) for c in written.codings)], "text": written.label},
    }
    if written.priority is not None:
        resource["priority"] = written.priority
    if written.details:
        resource["orderDetail"] = [{"coding": [_coding(c)], "text": c.display} for c in written.details]
    return resource


def _coding(coding: OrderCoding) -> Json:
    return {"system": coding.system, "code": coding.code, "display": coding.display}


def _refuse_unknown_sets(path: Path, key: str, written: WrittenOrder, known: frozenset[str]) -> None:
    cautions = [name for caution in written.cautions for name in (*caution.conditions, *caution.results)]
    for name in (*written.done_sets, *written.specialties, *written.settled_by, *cautions):
        if name not in known:
            raise RuleFileError(path, line_of(path, f"order.{key}", name), f"no value set is called {name!r}")
    for coding in (*written.codings, *written.details):
        if not coding.verified_by:
            raise RuleFileError(path, line_of(path, f"order.{key}", coding.code), "a code needs its `verified_by`")
