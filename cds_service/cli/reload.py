"""SIGHUP: the rules and the CDS Clients are read again; what must not be used leaves the old ones answering (B-52).

The first process reads, the workers inherit what it read when they are forked. So all workers answer with the same
rules, a worker that is started later needs no file, and a folder that is just being changed stops nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import structlog
from gunicorn.arbiter import Arbiter

from cds_service.app import FilesRead, read_files
from cds_service.errors import AtrophyCdsError
from cds_service.settings import Settings
from cds_service.store import open_store
from cds_service.trust import ListedServers
from cds_service.trust.key_sets import KeySets
from cds_service.web import call_log


class Reread:
    """The newest files that can be used."""

    def __init__(self, settings: Settings, files: FilesRead) -> None:
        self.newest = files
        self._settings = settings

    def again(self) -> bool:
        """Read them again. False when they cannot be used: the log says where, and the newest stay those before."""
        call_log.configure()
        log = structlog.get_logger("cds_service")
        before = self.newest.pack.knowledge.pack_hash
        try:
            files = read_files(self._settings)
            KeySets(files.clients, ListedServers(files.clients))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a file, the service goes on
            problem = str(error) if isinstance(error, AtrophyCdsError) else repr(error)
            log.error("rules-kept", rule_pack=before, problem=problem)  # noqa: TRY400 - its words say all
            return False
        self.newest = files
        after = files.pack.knowledge.pack_hash
        log.warning("rules-reloaded", before=before, after=after)
        self._audit(before, after)
        return True

    def _audit(self, before: str, after: str) -> None:
        try:
            with closing(open_store(self._settings)) as store:
                store.governance.note_rules(before, after, datetime.now(UTC))
        except Exception:  # noqa: BLE001 - the log has both hashes; the service goes on
            log = structlog.get_logger("cds_service")
            log.error("rules-reload-not-audited", before=before, after=after)  # noqa: TRY400 - of the database


def always() -> bool:
    """For an application that reads no files."""
    return True


class ReloadingArbiter(Arbiter):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn's first process, which starts new workers at SIGHUP only when the files can be used."""

    def __init__(self, app: Any, reread: Callable[[], bool]) -> None:
        super().__init__(app)
        self._reread = reread

    def handle_hup(self) -> None:
        """New workers with what was read, then the old ones end; or nothing at all."""
        if self._reread():
            super().handle_hup()
