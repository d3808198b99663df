"""A user's settings of their own page. They have no influence on rights."""

from __future__ import annotations

from typing import Final, NamedTuple

MAX_VIEWS: Final = 40
MAX_NAME_CHARS: Final = 60
MAX_QUERY_CHARS: Final = 400


class SavedView(NamedTuple):
    """A named filter, order and grouping of the fleet."""

    name: str
    query: str
    """The query part of the page's address, without the question mark."""


class Preferences(NamedTuple):
    views: tuple[SavedView, ...] = ()
    single_keys: bool = True
    """Whether single letters are keyboard shortcuts of the page."""
    network_bits: bool = False
    """Whether the page shows network rates in bits a second."""
