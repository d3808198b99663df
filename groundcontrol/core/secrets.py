"""Secrets at rest."""

from __future__ import annotations

from typing import NamedTuple


class SealedRecord(NamedTuple):
    """One secret as the vault sealed it (`vault.py`); the store never sees it open."""

    table: str
    id: str
    column: str
    version: int
    sealed: bytes
