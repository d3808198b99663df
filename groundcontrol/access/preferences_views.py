"""Request bodies and views of saved views and other preferences of a user."""

from __future__ import annotations

from groundcontrol.web.answer import Answer, Body


class SavedViewBody(Body):
    """A filter, order and grouping of the fleet under a name."""

    name: str
    """1 to 60 characters."""
    query: str
    """As in the page's address, without the question mark; at most 400 characters."""


class PreferencesPatch(Body):
    views: list[SavedViewBody] | None = None
    """All of them, at most 40; names differ."""
    single_keys: bool | None = None
    """Whether single letters are commands of the page."""
    network_bits: bool | None = None
    """Whether what goes through a network is shown in bits a second, in the place of bytes."""


class SavedViewView(Answer):
    name: str
    query: str


class PreferencesView(Answer):
    """What somebody has set up for their own page."""

    views: list[SavedViewView]
    single_keys: bool
    network_bits: bool
