"""The chart page: a small CDS Client in the browser, over the synthetic patients and the same endpoints as any client.

Registered in open mode only; otherwise its paths answer 404 (T40).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec
from flask import Blueprint, Response, g, jsonify, render_template

from cds_service.cds_hooks.discovery import SERVICE_ID
from cds_service.cds_hooks.request import parse_hook_request
from cds_service.errors import UnknownPath
from cds_service.fixture_patients import FixturePatient, hook_request_for
from cds_service.web.chart_rows import read_banner, read_chart
from cds_service.web.explain import Explain, answered

# Nothing inline, nothing from another host, no frame around the page (T11, T26).
_CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def chart_blueprint(
    patients: Callable[[], tuple[FixturePatient, ...]], clock: Callable[[], datetime], explain: Explain
) -> Blueprint:
    """The pages ``/`` and ``/chart/<patient_id>``, the hook request that a page's script posts, and why a card is here.

    ``patients`` gives the synthetic patients with their dates shifted to today; ``clock`` tells the time with its zone.
    An unknown patient or card is :class:`UnknownPath`.
    """
    pages = _ChartPages(patients, clock, explain)
    chart = Blueprint(
        "chart", __name__, template_folder="templates", static_folder="static", static_url_path="/chart-static"
    )
    chart.add_url_rule("/", "front", pages.front, methods=["GET"], strict_slashes=False)  # "" is no redirect (T37)
    chart.add_url_rule("/chart/<patient_id>", "opened", pages.opened, methods=["GET"])
    chart.add_url_rule("/chart/<patient_id>/hook-request", "hook_request", pages.hook_request, methods=["GET"])
    chart.add_url_rule("/chart/<patient_id>/explain/<card>", "explained", pages.explained, methods=["GET"])
    chart.after_request(_protect)
    return chart


class _ChartPages:
    def __init__(
        self, patients: Callable[[], tuple[FixturePatient, ...]], clock: Callable[[], datetime], explain: Explain
    ) -> None:
        self._patients = patients
        self._clock = clock
        self._explain = explain

    def front(self) -> str:
        return self._page(None)

    def opened(self, patient_id: str) -> str:
        return self._page(self._found(patient_id))

    def hook_request(self, patient_id: str) -> Response:
        return jsonify(hook_request_for(self._found(patient_id)))

    def explained(self, patient_id: str, card: str) -> Response:
        """The explanation with the facts of this page's chart."""
        request = parse_hook_request(msgspec.json.encode(hook_request_for(self._found(patient_id))))
        return answered(self._explain(g.client, card, request))

    def _found(self, patient_id: str) -> FixturePatient:
        for patient in self._patients():
            if patient.id == patient_id:
                return patient
        raise UnknownPath("No such synthetic patient.")

    def _page(self, opened: FixturePatient | None) -> str:
        today = self._clock().date()
        return render_template(
            "chart.html",
            listed=[(patient, read_banner(patient.bundle, today)) for patient in self._patients()],
            patient=opened,
            banner=read_banner(opened.bundle, today) if opened else None,
            chart=read_chart(opened.bundle) if opened else None,
            service_id=SERVICE_ID,
        )


def _protect(response: Response) -> Response:
    """An explanation brings a policy of its own, with the hash of its style."""
    policy = response.headers.get("Content-Security-Policy", _CONTENT_SECURITY_POLICY)
    response.headers.update({**_HEADERS, "Content-Security-Policy": policy})
    return response
