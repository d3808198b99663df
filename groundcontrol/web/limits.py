"""Timeouts and size limits of the web server."""

from __future__ import annotations

from typing import NamedTuple

from groundcontrol.web.live.send_queue import PATIENCE_S


class LiveLimits(NamedTuple):
    """Limits of the live socket."""

    of_an_address: int = 128
    """Concurrent pages of one address: many accounts behind one address must not take the live page from the others."""
    patience_s: float = PATIENCE_S
    rights_reload_s: float = 10.0
    """Interval at which the rights of a page are read again."""
    rights_s: float = 0.8
    """Time limit for the store to answer a check of rights. A page must end within a second of a revocation, whatever the store does."""
    close_s: float = 1.0
    interest_every_s: float = 5.0
    linger_s: float = 15.0
    """How long a topic continues after its last page was disconnected: the page may return and need the changes since. Checked with each
    tick of interest."""
    linger_most: int = 64
    """Topics that may continue like that at the same time; further ones end."""
    changes_every_s: float = 1.0
    """The least interval between two reads of a changed node from the store. A change of values alone needs none."""
    retry_s: float = 1.0
    """Delay before a topic continues after an error."""
    early_most: int = 1024
    """Changes that wait for a page's snapshot. With more of them the page receives a gap message and subscribes again."""
    replay_messages: int = 1024
    """Changes of one topic that are stored for a page that returns. A thousand nodes cause some thirty a second."""


class WebLimits(NamedTuple):
    """Limits of the whole server."""

    headers_s: float = 10.0
    """Time limit for the first request of a connection, and for each later one from its first byte on."""
    body_s: float = 10.0
    unread_s: float = 60.0
    """How long a peer may leave its data unread: the data stays in memory until then."""
    live: LiveLimits = LiveLimits()
