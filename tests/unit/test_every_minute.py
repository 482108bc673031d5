"""Work beside the calls goes on, whatever befalls it (P-33, B-52)."""

from __future__ import annotations

import threading

import pytest

from cds_service import every_minute as recurring
from cds_service.web import call_log


def test_what_fails_is_logged_by_kind_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recurring, "SECONDS", 0.01)
    call_log.configure()
    done = threading.Event()
    tries: list[int] = []

    def look() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise RuntimeError("canary")
        monkeypatch.setattr(recurring, "SECONDS", 3600)
        done.set()

    recurring.every_minute(look)
    assert done.wait(5)
    said = capsys.readouterr().err
    assert said.count('"work-failed"') == 2
    assert "RuntimeError" in said
    assert "canary" not in said
