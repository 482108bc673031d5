"""``atrophy-cds switch``: rules and CDS Clients are switched off and on while the service runs (B-52)."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import Literal

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cds_service.app import clients_of
from cds_service.errors import SettingsError
from cds_service.settings import Settings
from cds_service.store import EVERY, Switch, open_store

AS_IT_WAS = 1
ACTS_WITHIN = "It acts within 5 seconds in all workers."


def turn(state: Literal["off", "on"], rule: str | None, client: str | None, reason: str) -> int:
    """Turn the switch of a rule for a client, each an id or None for every one. 0, or 1 when it stands so already.

    Raises SettingsError for a rule or client that does not exist: a mistyped name would switch nothing off.
    """
    settings = Settings.from_environment()
    rule, client = rule or EVERY, client or EVERY
    if state == "off":
        _refuse_unknown(settings, rule, client)
    if not reason.strip():
        raise SettingsError("--reason must say why: it is kept in the audit.")
    with closing(open_store(settings)) as store:
        turned = store.governance.turn(Switch(rule, client, state, "operator", reason, datetime.now(UTC)))
    what = f"{_named('rule', rule)} for {_named('client', client)}"
    click.echo(f"{what} is {state}. {ACTS_WITHIN}" if turned else f"{what} was {state} already. See: switch list")
    return 0 if turned else AS_IT_WAS


def show(*, everything: bool) -> int:
    """Print what is switched off; with ``everything`` also what was and is on again."""
    with closing(open_store(Settings.from_environment())) as store:
        switches = [s for s in store.governance.switches() if everything or s.state == "off"]
    if not switches:
        click.echo("Nothing is switched off.")
        return 0
    table = Table("Rule", "Client", "State", "Since", "By", "Reason")
    for s in switches:
        by = "an operator" if s.cause == "operator" else f"itself: {s.cause}"
        table.add_row(
            _named("", s.rule), _named("", s.client), s.state, f"{s.at:%Y-%m-%d %H:%M:%S} UTC", by, escape(s.reason)
        )
    Console().print(table)
    return 0


def _refuse_unknown(settings: Settings, rule: str, client: str) -> None:
    """Only names of folders are looked at: a rule can be switched off while ``rules/`` cannot be loaded."""
    rules = {path.parent.name for path in settings.rules_dir.glob("*/rule.toml")}
    if rule not in (EVERY, *rules):
        raise SettingsError(f"There is no rule {rule!r} in {settings.rules_dir}.")
    clients = ["open", *(c.id for c in clients_of(settings))]
    if client not in (EVERY, *clients):
        raise SettingsError(f"There is no client {client!r}. Clients: {', '.join(clients)}.")


def _named(kind: str, name: str) -> str:
    return f"every {kind}".strip() if name == EVERY else f"{kind} {escape(name)}".strip()
