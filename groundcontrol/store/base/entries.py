"""What several stores share: pages of lists, rows of the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, NamedTuple, TypeVar

from groundcontrol.domain.scope import Actor

T = TypeVar("T")


class Page(NamedTuple, Generic[T]):
    """A slice of a list; `next` is the cursor of the following one, or None at the end."""

    items: list[T]
    next: str | None


class AuditEntry(NamedTuple):
    """Written in the same transaction as the change that it tells of."""

    actor: Actor
    action: str
    target: str
    result: str = "done"
    detail: Mapping[str, object] = {}
