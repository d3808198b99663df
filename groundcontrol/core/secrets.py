"""Secrets as they are stored."""

from __future__ import annotations

from typing import NamedTuple


class SealedRecord(NamedTuple):
    """One secret, sealed by the vault (`vault.py`); the store never sees it in plain text."""

    table: str
    id: str
    column: str
    version: int
    sealed: bytes
