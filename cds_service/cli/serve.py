"""``atrophy-cds serve`` and ``demo``: gunicorn with threads, or a refusal to start with its reason (P-24)."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from typing import Any

import click
import msgspec
from flask import Flask
from gunicorn.app.base import BaseApplication

from cds_service.app import NOBODY_MAY_CALL, SERVICE, STORE, create_app, read_files
from cds_service.cards.profiles import profile_named
from cds_service.cli.reload import ReloadingArbiter, Reread, always
from cds_service.errors import SettingsError
from cds_service.service import CdsService
from cds_service.settings import LOOPBACK_HOSTS, Settings
from cds_service.store import Store
from cds_service.trust import read_clients
from cds_service.web.audit_log import HeadLog

THREADS = 8  # enough to wait for FHIR servers; more only lengthen the tail
NOT_OPEN_OPTIONS = "--profile and --allow-origin belong to --open; a CDS Client's are in its entry."
NO_TLS = (
    "Tokens and charts need TLS: give --certfile and --keyfile, or --behind-proxy when a proxy on the way ends TLS "
    "(docker/nginx.conf is such a proxy)."
)
NOT_LOOPBACK = (
    "--open accepts calls from anybody, so it listens on a loopback address only (127.0.0.1, ::1, localhost)."
)


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of ``serve``. Host and port default to 127.0.0.1:8000."""

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    open_mode: bool = False
    profile: str | None = None
    allow_origin: tuple[str, ...] = ()
    demo: bool = False
    certfile: str | None = None
    keyfile: str | None = None
    behind_proxy: bool = False


def serve(options: ServeOptions) -> None:
    """Check what was asked, then run until stopped. Raises SettingsError when the service must not start."""
    settings = _settings(options)
    _refuse_contradictions(settings, options)
    profile_named(settings.profile)
    for warning in _warnings(settings, options):
        click.echo(f"warning: {warning}", err=True)
    files = Reread(settings, read_files(settings))
    for rule_id in files.newest.pack.knowledge.expired:
        click.echo(f"warning: the review date of rule {rule_id} has passed", err=True)
    host = f"[{options.host}]" if ":" in options.host else options.host
    if settings.open:
        click.echo(f"Chart page:  http://{host}:{options.port}/   (synthetic patients)")
        click.echo(f"CDS Hooks:   http://{host}:{options.port}/cds-services")
    else:
        click.echo(f"CDS Hooks:   {settings.public_url}/cds-services (listening on {host}:{options.port})")
    click.echo("Decision support, not diagnosis. The rules are not clinically reviewed.")
    ThreadedServer(lambda: _worker_app(settings, files), f"{host}:{options.port}", options, files.again).run()


def _worker_app(settings: Settings, files: Reread) -> Flask:
    """The application of one worker, made after the fork from the files that the first process has read."""
    app = create_app(settings, files=files.newest)
    store: Store = app.extensions[STORE]
    service: CdsService = app.extensions[SERVICE]
    HeadLog(lambda: store.audit_head).begin()
    service.watch.begin()
    return app


def _refuse_contradictions(settings: Settings, options: ServeOptions) -> None:
    if not options.open_mode and not settings.clients_file:
        raise SettingsError(NOBODY_MAY_CALL)
    if options.open_mode and options.host not in LOOPBACK_HOSTS:
        raise SettingsError(NOT_LOOPBACK)
    if not options.open_mode and (options.profile or options.allow_origin):
        raise SettingsError(NOT_OPEN_OPTIONS)
    own_tls = bool(options.certfile and options.keyfile)
    if not options.open_mode and not own_tls and not options.behind_proxy:
        raise SettingsError(NO_TLS)


def _warnings(settings: Settings, options: ServeOptions) -> Iterator[str]:
    """What an operator should hear at each start."""
    clients = read_clients(settings.clients_file) if settings.clients_file else ()
    for client in clients:
        if client.silent is not None:
            rules, share = ", ".join(client.silent.rules), client.silent.share_of_users
            yield f"client {client.id} IS SILENT: {rules}, for {share:.0%} of its users"
        for server in client.servers:
            if server.insecure_http:
                yield f"client {client.id}: {server.url} IS READ WITHOUT TLS (insecure_http)"
    if options.certfile and not options.behind_proxy:
        yield "without a buffering proxy slow senders can hold every thread (docs/adr/0004)"


def _settings(options: ServeOptions) -> Settings:
    settings = Settings.from_environment()
    if not options.open_mode:
        return settings
    return msgspec.structs.replace(
        settings,
        open=True,
        demo=options.demo or settings.demo,
        profile=options.profile or settings.profile,
        allow_origins=(*settings.allow_origins, *options.allow_origin),
    )


class ThreadedServer(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn, configured here and nowhere else. Each worker makes its own app after the fork."""

    def __init__(
        self, make_app: Callable[[], Flask], bind: str, options: ServeOptions, reread: Callable[[], bool] = always
    ) -> None:
        """``reread``: asked at SIGHUP; only when it says True do new workers take over."""
        self._make_app = make_app
        self._reread = reread
        self._options: dict[str, Any] = {
            "bind": bind,
            "workers": options.workers,
            "certfile": options.certfile,
            "keyfile": options.keyfile,
            "forwarded_allow_ips": "",  # nothing is taken from X-Forwarded-* (T7, T32)
            "worker_class": "gthread",
            "threads": THREADS,
            "keepalive": 75,
            "graceful_timeout": 10,
            "control_socket_disable": True,
            "loglevel": "warning",
            "proc_name": "atrophy-cds",
            "post_worker_init": calm_the_collector,
            "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,  # noqa: S108 - heartbeat file only
        }
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return self._make_app()

    def run(self) -> None:
        """Until stopped. SIGHUP reads the files again."""
        ReloadingArbiter(self, self._reread).run()


def calm_the_collector(_worker: object) -> None:
    """What is there after the start stays: keep the cyclic collector off it, and off the path of a call."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
