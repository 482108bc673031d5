"""The application: the only place where settings, knowledge, store, service and endpoints meet."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from flask import Flask, Response

from cds_service.cards.links import host_of
from cds_service.cards.profiles import profile_named
from cds_service.errors import SettingsError
from cds_service.fhir.client import FhirClient
from cds_service.fixture_patients import FixturePatient, load_fixture_patients
from cds_service.governance.silent_mode import ALL
from cds_service.prefetch import PrefetchPlan, prefetch_plan
from cds_service.reads import reads_of
from cds_service.service import CdsService, RulePack, load_rule_pack
from cds_service.settings import Settings
from cds_service.store import Store, open_store
from cds_service.trust import CdsClient, ListedServers, OpenMode, Outbound, read_clients
from cds_service.trust.key_sets import KeySets
from cds_service.trust.tokens import TokenVerifier
from cds_service.web import auth, call_log, errors, hooks
from cds_service.web.chart import chart_blueprint
from cds_service.web.explain import explain_blueprint

Clock = Callable[[], datetime]
NOBODY_MAY_CALL = (
    "No CDS Client may call. Set ATROPHY_CDS_CLIENTS_FILE and ATROPHY_CDS_PUBLIC_URL, or use --open to try the service "
    "on this machine."
)
STORE, SERVICE = "atrophy_cds_store", "atrophy_cds_service"  # their names in app.extensions


class FilesRead(msgspec.Struct, frozen=True):
    """What a start reads from files, checked: the rules with what they ask of a chart, and who may call."""

    pack: RulePack
    plan: PrefetchPlan
    clients: tuple[CdsClient, ...]


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


def create_app(
    settings: Settings,
    *,
    files: FilesRead | None = None,
    clock: Clock | None = None,
    store: Store | None = None,
    service: hooks.CdsService | None = None,
) -> Flask:
    """A Flask application that answers CDS Hooks calls.

    Files are read and checked here unless they were (``files``): RuleFileError stops the start. The store is opened
    from ``settings`` and brought up to date unless one is given; ``clock`` tells the time with its zone.
    """
    call_log.configure()
    clock = clock or utc_now
    store = store or open_store(settings)
    clients = files.clients if files else clients_of(settings)
    outbound: Outbound = OpenMode() if settings.open else ListedServers(clients)
    admission = _admission(settings, clients, outbound, store, clock)
    service = service or build_service(settings, files or read_files(settings), outbound, store, clock)
    app = Flask("cds_service", static_folder=None)  # the only files are the chart page's
    app.extensions[STORE] = store
    app.extensions[SERVICE] = service
    # A redirect would lose a preflight and invite a browser elsewhere: a path answers as it is written, or 404.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    call_log.install(app)
    auth.install(app, admission)
    errors.install(app)
    app.after_request(_protect)
    app.register_blueprint(hooks.hooks_blueprint(service, settings.max_body_bytes, clock))
    app.register_blueprint(explain_blueprint(service.explain, settings.max_body_bytes))
    if settings.open:
        app.register_blueprint(
            chart_blueprint(
                _patients_of_today(settings, clock), lambda: clock().astimezone(settings.zone), service.explain
            )
        )
    return app


def clients_of(settings: Settings) -> tuple[CdsClient, ...]:
    """Who may call: in open mode one client, named ``open`` (P-24); else those of the file."""
    if settings.open:
        one = CdsClient(
            id="open",
            profile=settings.profile,
            deadline_seconds=settings.deadline_seconds,
            rules_off=settings.rules_off,
            link_hosts=tuple(
                filter(None, map(host_of, (settings.public_url, settings.timeline_url, settings.source_url)))
            ),
        )
        return (one,)
    return read_clients(settings.clients_file) if settings.clients_file else ()


def _admission(
    settings: Settings, clients: tuple[CdsClient, ...], outbound: Outbound, store: Store, clock: Clock
) -> auth.Admission:
    """Who may call. Raises SettingsError when nobody could."""
    if settings.open:
        return auth.OpenAdmission(clients[0], settings.allow_origins)
    if not clients or settings.public_url is None:
        raise SettingsError(NOBODY_MAY_CALL)
    keys = KeySets(clients, outbound)
    keys.refresh()
    verifier = TokenVerifier(clients, keys, store, settings.public_url)
    return auth.TokenAdmission(verifier, clients, store.calls_in_minute, clock)


def read_files(settings: Settings) -> FilesRead:
    """Read the rules and the CDS Clients. Raises RuleFileError and SettingsError for what must not be used."""
    clients = clients_of(settings)
    for client in clients:
        profile_named(client.profile)  # a profile that does not exist stops the start, not each call
    pack = load_rule_pack(settings.rules_dir, settings.today())
    if settings.rule_pack_hash not in (None, found := pack.knowledge.pack_hash):
        raise SettingsError(f"ATROPHY_CDS_RULE_PACK_HASH is not that of {settings.rules_dir}: {found}.")
    _refuse_unknown_rules(pack, "ATROPHY_CDS_RULES_OFF", settings.rules_off)
    for client in clients:
        place = f"{settings.clients_file}: client {client.id!r}"
        _refuse_unknown_rules(pack, f"{place}: rules_off", client.rules_off)
        silent = client.silent.rules if client.silent else ()
        _refuse_unknown_rules(pack, f"{place}: silent", tuple(word for word in silent if word != ALL))
        if unknown := sorted(client.order_codes.keys() - pack.deck.orders.orders.keys()):
            raise SettingsError(f"{place}: order_codes: no order is called {unknown[0]!r}")
    return FilesRead(pack, prefetch_plan(reads_of(pack)), clients)


def build_service(settings: Settings, files: FilesRead, outbound: Outbound, store: Store, clock: Clock) -> CdsService:
    """The service with its knowledge compiled, and its connections kept for all calls."""
    return CdsService(
        pack=files.pack,
        plan=files.plan,
        fhir=FhirClient(outbound.connects, transports=outbound.transports),
        outbound=outbound,
        store=store,
        settings=settings,
        clients=files.clients,
        clock=clock,
    )


def _refuse_unknown_rules(pack: RulePack, place: str, names: tuple[str, ...]) -> None:
    try:
        pack.knowledge.rules.named(names)
    except ValueError as error:
        raise SettingsError(f"{place}: {error}") from None


def _patients_of_today(settings: Settings, clock: Clock) -> Callable[[], tuple[FixturePatient, ...]]:
    """The synthetic patients with their dates shifted to today; shifted again when the day changes."""
    shifted_to = functools.lru_cache(maxsize=1)(functools.partial(load_fixture_patients, settings.fixtures_dir))
    return lambda: shifted_to(clock().astimezone(settings.zone).date())


def _protect(response: Response) -> Response:
    """Nothing about a patient is kept by a cache on the way (T31), nothing is taken for another kind of content."""
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response
