"""Keyed fingerprints, so that the store can recognise a patient or an evidence without naming either (P-33)."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from cds_service.errors import SettingsError

_KEY_BYTES = 32


def fingerprint(key: bytes, *parts: str) -> str:
    """HMAC-SHA256 in 64 hexadecimal digits. Parts are kept apart: ("ab", "c") differs from ("a", "bc")."""
    message = b"".join(len(encoded).to_bytes(4, "big") + encoded for encoded in (part.encode() for part in parts))
    return hmac.digest(key, message, hashlib.sha256).hex()


def read_or_make_key(file: Path | None) -> bytes:
    """The key in ``file``, made there at the first start and readable by its owner only; without a file a fresh one.

    Several processes starting at once agree on one key: the first complete file stays.
    """
    if file is None:
        return secrets.token_bytes(_KEY_BYTES)
    if not file.exists():
        _make_key(file)
    key = _key_in(file)
    if key is None:
        raise SettingsError("ATROPHY_CDS_KEY_FILE does not hold a key. Restore it; a new one forgets earlier answers.")
    return key


def _key_in(file: Path) -> bytes | None:
    try:
        key = bytes.fromhex(file.read_text("ascii").strip())
    except (ValueError, OSError):  # ValueError: not ASCII, not hexadecimal
        return None
    return key if len(key) >= _KEY_BYTES else None


def _make_key(file: Path) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write(secrets.token_hex(_KEY_BYTES) + "\n")
        opened.flush()
        os.fsync(opened.fileno())
    try:
        os.link(draft, file)  # fails if another process was first; never leaves half a key
    except FileExistsError:
        pass
    finally:
        draft.unlink()
