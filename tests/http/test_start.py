"""What `create_app` does by itself before the first call is answered."""

from datetime import timedelta
from pathlib import Path

import msgspec

from cds_service.app import STORE, create_app, utc_now
from cds_service.settings import Settings
from cds_service.store import Store
from tests.http.stand_in import CARD, FEEDBACK, Shown, StandIn, an_item


def test_the_store_of_the_settings_is_opened_with_its_tables(tmp_path: Path, service: StandIn) -> None:
    settings = Settings(open=True, database_url=f"sqlite:///{tmp_path}/new/cds.db")

    store: Store = create_app(settings, service=service).extensions[STORE]

    assert store.feedback_about(CARD) == ()
    assert (tmp_path / "new" / "cds.key").exists()
    store.close()


def test_the_key_file_of_the_settings_is_used(tmp_path: Path, settings: Settings, service: StandIn) -> None:
    keyed = msgspec.structs.replace(settings, key_file=tmp_path / "elsewhere.key")

    store: Store = create_app(keyed, service=service).extensions[STORE]

    assert (tmp_path / "elsewhere.key").exists()
    store.close()


def test_the_clock_tells_the_time_with_its_zone(settings: Settings, store: Store, service: StandIn) -> None:
    """Without a clock of its own, feedback of this minute is neither ahead of time nor an error."""
    client = create_app(settings, store=store, service=service).test_client()
    store.note_shown("open", store.memory("open", "", "p1").patient, [Shown(CARD)], utc_now())

    def report(at: str) -> int:
        item = an_item(outcomeTimestamp=at)
        return client.post(FEEDBACK, json={"feedback": [item]}, base_url="http://localhost").status_code

    assert utc_now().utcoffset() == timedelta(0)
    assert report(utc_now().isoformat()) == 200
    assert report((utc_now() + timedelta(hours=25)).isoformat()) == 400
