"""Rows of the audit log and the ends of its chains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from groundcontrol.core.scope import Actor


class AuditEntry(NamedTuple):
    """One entry of the audit log, written in the same transaction as the change that it describes."""

    actor: Actor
    action: str
    target: str
    result: str = "done"
    detail: Mapping[str, object] = {}


class AuditHead(NamedTuple):
    """The last row of an audit chain at some time. A copy outside the database shows later whether the chain was cut or rewritten."""

    chain: str
    n: int
    hash: str
    """In hexadecimal."""


class AuditRow(NamedTuple):
    chain: str
    """Empty for a refusal, which belongs to no chain."""
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
