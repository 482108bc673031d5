"""Why a card was shown, as a page for people and as JSON for machines: ``/explain/<card>``.

GET tells what was kept, nothing of the chart. POST takes the hook request again and fills in its dated facts.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Protocol

import msgspec
from flask import Blueprint, Response, g, render_template, request

from cds_service.cards.explanation import CardExplanation, ChangeShown, RuleShown
from cds_service.cards.wording import readable_date
from cds_service.cds_hooks.request import UUID, HookRequest, parse_hook_request
from cds_service.errors import UnknownPath
from cds_service.trust import CdsClient
from cds_service.web.hooks import json_body, most_bytes

NO_SUCH_CARD = "A card is asked for by its uuid."
_JSON, _HTML = "application/json", "text/html"
_STYLE = (Path(__file__).parent / "templates" / "explain.css").read_text(encoding="utf-8")
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_SYSTEMS = {
    "http://snomed.info/sct": "SNOMED CT",
    "http://loinc.org": "LOINC",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD-10-CM",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm",
}
_HEADERS = {
    # One document that needs nothing else: every request would need a token of its own, and a page may be printed.
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",  # T31
    "Vary": "Accept",
}


class Explain(Protocol):
    """Tells why a card was shown; see service.CdsService.explain."""

    def __call__(self, client: CdsClient, card: str, request: HookRequest | None = None) -> CardExplanation: ...


def explain_blueprint(explain: Explain, max_body_bytes: int) -> Blueprint:
    """The one endpoint. Anything but the uuid of a card that this client was shown is :class:`UnknownPath`."""
    pages = Blueprint("explain", __name__, template_folder="templates")

    def explained(card: str) -> Response:
        if not UUID.fullmatch(card):
            raise UnknownPath(NO_SUCH_CARD)
        brought = parse_hook_request(json_body(most_bytes(max_body_bytes))) if request.method == "POST" else None
        return answered(explain(g.client, card.lower(), brought))

    pages.add_url_rule("/explain/<card>", "explained", explained, methods=["GET", "POST"])
    return pages


def changes_of(rule: RuleShown) -> list[list[ChangeShown]]:
    """The changes that would turn a rule's answer in the same way stand together, those that silence it first."""
    groups: dict[tuple[object, ...], list[ChangeShown]] = {}
    for change in sorted(rule.changes, key=lambda change: change.status == "fired"):
        key = (change.status, change.reason, change.indicator, change.instead)
        groups.setdefault(key, []).append(change)
    return list(groups.values())


def code_text(code: str) -> str:
    """A code with the name of its system, where that is one that people know."""
    system, _, value = code.partition("|")
    return f"{_SYSTEMS.get(system, system)} {value}"


def answered(explanation: CardExplanation) -> Response:
    """The explanation in the form that the request accepts; JSON unless HTML is liked better."""
    if request.accept_mimetypes.best_match([_JSON, _HTML], default=_JSON) == _JSON:
        return Response(msgspec.json.encode(explanation), headers=_HEADERS, mimetype=_JSON)
    page = render_template(
        "explain.html",
        why=explanation,
        style=_STYLE,
        changes_of=changes_of,
        code_text=code_text,
        moment=readable_date,
    )
    return Response(page, headers=_HEADERS, mimetype=_HTML)
