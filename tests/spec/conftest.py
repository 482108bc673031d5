"""The fixtures of tests/http/stand_in.py."""

from tests.http.stand_in import app, client, service, settings, store

__all__ = ["app", "client", "service", "settings", "store"]
