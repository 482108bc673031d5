"""P-34, T6: the same token at two workers at once is accepted exactly once, and not again after a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.ehr import PUBLIC_URL, Ehr, write_clients
from tests.exposed.processes import Running, post, serving
from tests.http.stand_in import CALL, a_call

ROUNDS = 100
BODY = json.dumps(a_call()).encode()


@pytest.fixture
def ehr() -> Ehr:
    return Ehr()


@pytest.fixture
def environment(tmp_path: Path, ehr: Ehr, database_url: str) -> dict[str, str]:
    clients = write_clients(tmp_path, ehr, "calls_per_minute = 100000")
    return {
        "ATROPHY_CDS_CLIENTS_FILE": str(clients),
        "ATROPHY_CDS_PUBLIC_URL": PUBLIC_URL,
        "ATROPHY_CDS_DATABASE_URL": database_url,
        "ATROPHY_CDS_KEY_FILE": str(tmp_path / "cds.key"),
    }


@pytest.fixture
def workers(tmp_path: Path, environment: dict[str, str]) -> Iterator[tuple[Running, Running]]:
    """Two processes on one store."""
    with (
        serving(tmp_path, "--behind-proxy", **environment) as first,
        serving(tmp_path, "--behind-proxy", **environment) as second,
    ):
        yield first, second


def test_the_same_token_at_two_workers_at_once(workers: tuple[Running, Running], ehr: Ehr) -> None:
    with ThreadPoolExecutor(2) as at_once:
        for _ in range(ROUNDS):
            headers = ehr.bearer(CALL)
            sent = [at_once.submit(post, worker.url + CALL, BODY, **headers) for worker in workers]
            assert sorted(one.result() for one in sent) == [200, 401]


def test_after_a_restart_it_is_still_used(tmp_path: Path, environment: dict[str, str], ehr: Ehr) -> None:
    headers = ehr.bearer(CALL)
    with serving(tmp_path, "--behind-proxy", **environment) as before:
        assert post(before.url + CALL, BODY, **headers) == 200
        before.kill()
    with serving(tmp_path, "--behind-proxy", **environment) as after:
        assert post(after.url + CALL, BODY, **headers) == 401


def test_t30_the_limit_holds_over_both_workers(tmp_path: Path, ehr: Ehr) -> None:
    clients = write_clients(tmp_path, ehr, "calls_per_minute = 10")
    environment = {"ATROPHY_CDS_CLIENTS_FILE": str(clients), "ATROPHY_CDS_PUBLIC_URL": PUBLIC_URL}
    with (
        serving(tmp_path, "--behind-proxy", **environment) as first,
        serving(tmp_path, "--behind-proxy", **environment) as second,
    ):
        found = [post(worker.url + CALL, BODY, **ehr.bearer(CALL)) for _ in range(15) for worker in (first, second)]
    assert set(found) == {200, 429}
    assert found.count(200) <= 20  # ten, or twice ten when the minute turned meanwhile
