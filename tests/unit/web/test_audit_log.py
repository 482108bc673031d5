"""P-33: the head of the audit is in the log when it has changed, so that a cut at the end of the chain can be shown."""

from structlog.testing import capture_logs

from cds_service.store.audit import Head
from cds_service.web.audit_log import HeadLog


def test_a_head_is_written_once() -> None:
    heads = [None, Head(1, "a"), Head(1, "a"), Head(2, "b")]
    with capture_logs() as lines:
        log = HeadLog(lambda: heads.pop(0))
        for _ in range(4):
            log.log()
    assert [line["head"] for line in lines] == ["1:a", "2:b"]
