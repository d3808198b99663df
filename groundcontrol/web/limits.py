"""How long the web server waits, and how much it holds."""

from __future__ import annotations

from typing import NamedTuple

from groundcontrol.web.live.send_queue import PATIENCE_S


class LiveLimits(NamedTuple):
    """Of the live socket."""

    of_an_address: int = 128
    """Pages at the same time: many accounts behind one address do not take the live page from the others."""
    patience_s: float = PATIENCE_S
    recheck_s: float = 10.0
    """How often the rights of a page are read again."""
    rights_s: float = 0.8
    """How long the store may take to say what somebody may, so that a page goes within a second of a revocation, whatever the store does."""
    close_s: float = 1.0
    interest_every_s: float = 5.0
    linger_s: float = 15.0
    """How long a topic goes on whose last page was cut off: it may come back, and then wants what it missed. Looked at with each word of interest."""
    linger_most: int = 64
    """Topics at the same time that go on like that; with more of them they end."""
    facts_every_s: float = 1.0
    """Each node of which more than a value changed is read from the store: at most this often."""
    retry_s: float = 1.0
    """Until a feed goes on after an error."""
    early_most: int = 1024
    """Changes that wait for a page's snapshot; with more of them the page hears that something is missing, and asks anew."""
    kept_most: int = 1024
    """Changes of one topic that are kept for a page that comes back; of a thousand nodes there are some thirty a second."""


class WebLimits(NamedTuple):
    """Of the whole server."""

    headers_s: float = 10.0
    """For the first request of a connection to be there, and for each later one from its first byte on."""
    body_s: float = 10.0
    unread_s: float = 60.0
    """How long a peer may take nothing of what waits for it: what it has asked for lies in memory until then."""
    live: LiveLimits = LiveLimits()
