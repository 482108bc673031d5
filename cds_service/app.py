"""The application: the only place where settings, store, service and endpoints meet."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from flask import Flask, Response

from cds_service.errors import SettingsError
from cds_service.settings import Settings
from cds_service.store import Store
from cds_service.web import auth, call_log, errors
from cds_service.web.hooks import CdsService, hooks_blueprint

Clock = Callable[[], datetime]
STORE = "atrophy_cds_store"  # its name in app.extensions


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


def create_app(
    settings: Settings, *, clock: Clock | None = None, store: Store | None = None, service: CdsService | None = None
) -> Flask:
    """A Flask application that answers CDS Hooks calls.

    The store is opened from ``settings`` and brought up to date unless one is given; ``clock`` tells the time with its
    zone. :class:`SettingsError` if the service cannot start as configured.
    """
    call_log.configure()
    clock = clock or utc_now
    store = store or open_store(settings)
    if service is None:
        raise SettingsError("No service is given to answer calls.")
    app = Flask("cds_service", static_folder=None)
    app.extensions[STORE] = store
    # A redirect would lose a preflight and invite a browser elsewhere: a path answers as it is written, or 404.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    call_log.install(app)
    auth.install(app, settings)
    errors.install(app)
    app.after_request(_protect)
    app.register_blueprint(hooks_blueprint(service, settings.max_body_bytes, clock))
    return app


def open_store(settings: Settings) -> Store:
    """The store of these settings, its tables up to date."""
    store = Store(settings.database_url, key_file=settings.key_file, keep_comments=settings.keep_comments)
    store.migrate()
    return store


def _protect(response: Response) -> Response:
    """Nothing about a patient is kept by a cache on the way (T31), nothing is taken for another kind of content."""
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response
