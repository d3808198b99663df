"""Declarations of a slice, as data: its calls and its live topics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from groundcontrol.core.permissions import Action, Owned
from groundcontrol.core.scope import Scope
from groundcontrol.web.costs import Cost
from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.live.topics import Feed
from groundcontrol.web.routes import Route
from groundcontrol.web.services import Services


class Stream(Protocol):
    """A topic with its own stream for each browser."""

    topic: str

    async def run(self) -> None: ...


class LiveTopic(NamedTuple):
    """One kind of topic of the live socket: `kind`, or `kind:<id>` if it has `find`. It has either `feed` or `stream`."""

    kind: str
    action: Action
    cost: Cost
    """Cost class of the first message."""
    find: Callable[[Services, Scope, str], Awaitable[Owned]] | None = None
    """Reads the object with the caller's rights. Raises: NotFound."""
    feed: Callable[[Services, Scope, str, LiveLimits], Feed] | None = None
    """Shared by all browsers with the same rights."""
    stream: Callable[[Services, Callable[[], Scope], str, int, Callable[[bytes], None], Callable[[], Awaitable[None]]], Stream] | None = (
        None
    )
    """(services, scope, id, offset, put, room): one stream for each browser; `room` limits its cost."""


class Slice(NamedTuple):
    """One subject of the hub."""

    name: str
    routes: tuple[Route, ...]
    topics: tuple[LiveTopic, ...] = ()
