"""How a slice asks for stores: by their Protocol, of which it imports only its own and those of lower slices."""

from __future__ import annotations

from typing import Protocol, TypeVar

T = TypeVar("T")


class Stores(Protocol):
    """All stores of one hub: `stores[NodeStore]`."""

    def __getitem__(self, kind: type[T], /) -> T:
        """Raises: KeyError: nobody provides it."""
        ...
