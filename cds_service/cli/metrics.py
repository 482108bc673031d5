"""``atrophy-cds metrics``: what the rules did, from the store of all workers, in the text format of Prometheus (B-52).

There is no such address in the service: a scheduled job writes the text where a collector of node metrics reads it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime

import click
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from cds_service.settings import Settings
from cds_service.store import EVERY, Answered, RuleDay, Switch, open_store

_ALL = "all"  # in place of an id: every rule, or every CDS Client
_LABELS = ("rule", "client")
_EVER = date(1970, 1, 1)


def metrics() -> int:
    """Print every metric. 0."""
    with closing(open_store(Settings.from_environment())) as store:
        days = store.governance.rule_days(_EVER)
        answered = store.governance.answered_cards(datetime.combine(_EVER, datetime.min.time(), UTC))
        switches = store.governance.switches()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected([*_of_rules(days), *_of_cards(answered), _of_switches(switches)]))
    click.echo(generate_latest(registry).decode(), nl=False)
    return 0


class _Collected:
    """What a registry asks for its metrics."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        yield from self._found


def _of_rules(days: Iterable[RuleDay]) -> Iterator[Metric]:
    """Counts since the last purge: a purge looks to Prometheus like a restart."""
    sums: dict[str, Counter[tuple[str, str]]] = {name: Counter() for name in ("evaluations", "firings", "slow")}
    for one in days:
        for name, counted in sums.items():
            counted[one.rule, one.client] += getattr(one, name)
    for name, says in (
        ("evaluations", "How often a rule was asked."),
        ("firings", "How often a rule fired, shown or not."),
        ("slow", "How often a rule took longer than the limit of rules/bands.toml."),
    ):
        yield _counter(f"atrophy_cds_rule_{name}", says, sums[name])


def _of_cards(answered: Iterable[Answered]) -> Iterator[Metric]:
    found = tuple(answered)
    yield _counter(
        "atrophy_cds_cards_answered",
        "Cards that were answered, by the rule that led them.",
        Counter({(one.rule, one.client): one.cards for one in found}),
    )
    yield _counter(
        "atrophy_cds_cards_overridden",
        "Of these, cards that were overridden.",
        Counter({(one.rule, one.client): one.overridden for one in found}),
    )


def _counter(name: str, says: str, counted: Counter[tuple[str, str]]) -> Metric:
    family = CounterMetricFamily(name, says, labels=_LABELS)
    for labels, number in sorted(counted.items()):
        family.add_metric(labels, number)
    return family


def _of_switches(switches: Iterable[Switch]) -> Metric:
    """``cause``: an operator, or the band that a rule left when it tripped (firing, override, latency)."""
    family = GaugeMetricFamily("atrophy_cds_rule_off", "1 while a rule is switched off.", labels=(*_LABELS, "cause"))
    for one in switches:
        if one.state == "off":
            names = [_ALL if name == EVERY else name for name in (one.rule, one.client)]
            family.add_metric([*names, one.cause], 1)
    return family
