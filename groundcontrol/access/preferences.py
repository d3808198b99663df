"""What a person has set up for their own page. Nothing here decides what they may do."""

from __future__ import annotations

from typing import Final, NamedTuple

MAX_VIEWS: Final = 40
MAX_NAME_CHARS: Final = 60
MAX_QUERY_CHARS: Final = 400


class SavedView(NamedTuple):
    """A filter, order and grouping of the fleet under a name."""

    name: str
    query: str
    """As in the page's address, without the question mark."""


class Preferences(NamedTuple):
    views: tuple[SavedView, ...] = ()
    single_keys: bool = True
    """Whether single letters are commands of the page."""
    network_bits: bool = False
    """Whether what goes through a network is shown in bits a second."""
