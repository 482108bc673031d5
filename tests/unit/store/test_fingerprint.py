"""P-33: fingerprints are keyed, keep their parts apart, and the key is made once, for its owner only."""

import stat
import threading
from pathlib import Path

import pytest

from cds_service.errors import SettingsError
from cds_service.store.fingerprint import fingerprint, read_or_make_key

KEY = bytes(32)


def test_the_same_parts_have_the_same_fingerprint() -> None:
    assert fingerprint(KEY, "https://fhir.example", "p1") == fingerprint(KEY, "https://fhir.example", "p1")


def test_it_is_64_hexadecimal_digits() -> None:
    assert len(bytes.fromhex(fingerprint(KEY))) == 32


@pytest.mark.parametrize("parts", [("a", "bc"), ("abc",), ("", "abc"), ("ab", "c", ""), ("c", "ab")])
def test_parts_are_kept_apart(parts: tuple[str, ...]) -> None:
    assert fingerprint(KEY, *parts) != fingerprint(KEY, "ab", "c")


def test_another_key_gives_another_fingerprint() -> None:
    assert fingerprint(KEY, "p1") != fingerprint(b"\x01" + bytes(31), "p1")


def test_the_key_is_made_at_the_first_start_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "new" / "cds.key"

    key = read_or_make_key(file)

    assert len(key) == 32
    assert read_or_make_key(file) == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == ["cds.key"]


def test_two_stores_do_not_share_a_key(tmp_path: Path) -> None:
    assert read_or_make_key(tmp_path / "a") != read_or_make_key(tmp_path / "b")


def test_starts_at_the_same_time_agree_on_one_key(tmp_path: Path) -> None:
    keys = []
    threads = [threading.Thread(target=lambda: keys.append(read_or_make_key(tmp_path / "key"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(keys) == 16
    assert len(set(keys)) == 1


@pytest.mark.parametrize("content", [b"", b"short", b"ab" * 31, b"\xff" * 64, b"zz" * 32])
def test_a_file_that_holds_no_key_stops_the_start_and_is_not_replaced(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)

    with pytest.raises(SettingsError, match="ATROPHY_CDS_KEY_FILE"):
        read_or_make_key(file)
    assert file.read_bytes() == content
