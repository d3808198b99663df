"""The interface through which a slice gets a store, by the store's Protocol."""

from __future__ import annotations

from typing import Protocol, TypeVar

T = TypeVar("T")


class Stores(Protocol):
    """All stores of one hub: `stores[NodeStore]`."""

    def __getitem__(self, kind: type[T], /) -> T:
        """Raises: KeyError: no store implements this Protocol."""
        ...
