"""Rows of the audit log and the ends of its chains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from groundcontrol.core.scope import Actor


class AuditEntry(NamedTuple):
    """Written in the same transaction as the change that it tells of."""

    actor: Actor
    action: str
    target: str
    result: str = "done"
    detail: Mapping[str, object] = {}


class AuditHead(NamedTuple):
    """The end of a chain at some time. Kept outside the database, it shows later whether the chain was cut or rewritten."""

    chain: str
    n: int
    hash: str
    """Hex."""


class AuditRow(NamedTuple):
    chain: str
    """Empty for a refusal, which is in no chain."""
    n: int
    at: float
    actor: str
    address: str
    action: str
    """`node.create`, `auth.login` …"""
    target: str
    result: str
    """done, refused or failed."""
    detail: dict[str, object]
    """Redacted: never a secret."""
    prev: bytes
    hash: bytes
