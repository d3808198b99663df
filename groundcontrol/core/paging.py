"""What several stores share: pages of lists, rows of the audit log."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Page(NamedTuple, Generic[T]):
    """A slice of a list; `next` is the cursor of the following one, or None at the end."""

    items: list[T]
    next: str | None
