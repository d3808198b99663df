"""What a slice declares, as data: the calls that it answers and the live topics that it feeds."""

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
    """A topic that each browser follows for itself."""

    topic: str

    async def run(self) -> None: ...


class LiveTopic(NamedTuple):
    """One kind of topic of the live socket: `kind`, or `kind:<id>` where it has `find`. It has either `feed` or `stream`."""

    kind: str
    action: Action
    cost: Cost
    """What the first message costs the hub."""
    find: Callable[[Services, Scope, str], Awaitable[Owned]] | None = None
    """Read the thing itself with the caller's rights. Raises: NotFound."""
    feed: Callable[[Services, Scope, str, LiveLimits], Feed] | None = None
    """Shared by all browsers with the same rights."""
    stream: Callable[[Services, Callable[[], Scope], str, int, Callable[[bytes], None], Callable[[], Awaitable[None]]], Stream] | None = (
        None
    )
    """(services, scope, id, offset, put, room): one for each browser; its cost is limited by `room`."""


class Slice(NamedTuple):
    """One subject of the hub."""

    name: str
    routes: tuple[Route, ...]
    topics: tuple[LiveTopic, ...] = ()
