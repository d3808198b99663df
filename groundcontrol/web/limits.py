"""Timeouts and size limits of the web server."""

from __future__ import annotations

from typing import NamedTuple

from groundcontrol.web.live.send_queue import PATIENCE_S


class LiveLimits(NamedTuple):
    """Limits of the live socket."""

    of_an_address: int = 128
    """The most simultaneous pages of one address, so that several accounts from one address cannot use up the hub's limit."""
    patience_s: float = PATIENCE_S
    """How long a message may wait for a page that does not read. Then the page is disconnected."""
    rights_reload_s: float = 10.0
    """Interval at which the rights of a page are read again."""
    rights_s: float = 0.8
    """Time limit for the store's answer to a check of rights. A page must end within a second of a revocation, even if the store is slow."""
    close_s: float = 1.0
    interest_every_s: float = 5.0
    linger_s: float = 15.0
    """How long a topic continues after its last page was disconnected, since the page may return. Checked every `interest_every_s`."""
    linger_most: int = 64
    """The most topics that continue for a disconnected page; further topics end immediately."""
    changes_every_s: float = 1.0
    """The least interval between two reads of a changed node from the store. New values are sent without such a read."""
    retry_s: float = 1.0
    """Delay before a topic continues after an error."""
    early_most: int = 1024
    """The most changes that wait until a page has its snapshot. If more come, the page receives a gap message and subscribes again."""
    replay_messages: int = 1024
    """The most changes of one topic that are stored for pages that return. A thousand nodes cause some thirty changes a second."""


class WebLimits(NamedTuple):
    """Limits of the whole server."""

    headers_s: float = 10.0
    """Time limit for the first request of a connection, and for each later one from its first byte on."""
    body_s: float = 10.0
    """Time limit for the body of a request."""
    unread_s: float = 60.0
    """How long a client may leave data unread, which stays in memory. Then its connection ends."""
    live: LiveLimits = LiveLimits()
