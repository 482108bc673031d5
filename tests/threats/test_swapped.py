"""Each protection is needed: with it the attack fails, and with the part swapped out in the test it succeeds (P-35).

The attacks are in ``staged``, by what they go through. Why a threat has none stands in ``docs/threats.toml``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.ehr import PUBLIC_URL
from tests.http.stand_in import CALL
from tests.threats.attack import Attack
from tests.threats.attacked import Attacked, attacked
from tests.threats.staged import answers, callers, operation, outbound, sent

EVERY = (*outbound.ATTACKS, *callers.ATTACKS, *sent.ATTACKS, *answers.ATTACKS, *operation.ATTACKS)
each_attack = pytest.mark.parametrize("attack", EVERY, ids=lambda attack: f"{attack.threat}-{attack.act.__name__}")


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Attacked]:
    with attacked(tmp_path, "calls_per_minute = 60") as made:
        yield made


@each_attack
def test_the_attack_fails(on: Attacked, attack: Attack) -> None:
    assert attack.act(on) is False


@each_attack
def test_without_its_protection_it_succeeds(on: Attacked, attack: Attack, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the test above can fail."""
    attack.swap(monkeypatch)
    assert attack.act(on) is True


def test_t6_a_token_outside_its_time_is_refused_by_the_library(on: Attacked, monkeypatch: pytest.MonkeyPatch) -> None:
    old = int(time.time()) - 7200
    claims = {"iat": old, "exp": old + 300}
    assert on.call(headers=on.ehr.bearer(CALL, **claims)).status_code == 401
    monkeypatch.setattr("cds_service.trust.tokens.SKEW", timedelta(days=1).total_seconds())
    assert on.call(headers=on.ehr.bearer(CALL, **claims)).status_code == 200
    assert on.ehr.claims(CALL)["aud"] == PUBLIC_URL + CALL
