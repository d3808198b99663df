"""Pages of lists, shared by all stores."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Page(NamedTuple, Generic[T]):
    """A page of a list; `next` is the cursor of the following page, or None at the end."""

    items: list[T]
    next: str | None
