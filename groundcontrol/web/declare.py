"""Declarations of a slice, as data: its calls, live topics, services, tasks, and what it removes by age."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, Protocol

from groundcontrol.core.permissions import Action, Owned
from groundcontrol.core.scope import Scope
from groundcontrol.core.stores import Stores
from groundcontrol.web.costs import Cost
from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.live.topics import Feed
from groundcontrol.web.routes import Route
from groundcontrol.web.services import Provider, Services


class Stream(Protocol):
    """The messages of a topic for one browser. No other browser shares them."""

    topic: str

    async def run(self) -> None: ...


class LiveTopic(NamedTuple):
    """One kind of topic. Browsers subscribe to it as `kind`, or as `kind:<id>` if `find` is set.

    Either `feed` or `stream` is set. The first line of its docstring says in docs/api.md what the topic sends.
    """

    kind: str
    action: Action
    cost: Cost
    """Cost class of the first message."""
    changes: str
    """The kind of the `Changed` messages about its objects; empty: it follows other messages."""
    find: Callable[[Services, Scope, str], Awaitable[Owned]] | None = None
    """(services, scope, id): reads the object with the caller's rights. Raises: NotFound."""
    feed: Callable[[Services, Scope, str, LiveLimits], Feed] | None = None
    """(services, scope, topic, limits): makes the feed that all browsers with the same rights share."""
    stream: Callable[[Services, Callable[[], Scope], str, int, Callable[[bytes], None], Callable[[], Awaitable[None]]], Stream] | None = (
        None
    )
    """(services, scope, id, offset, put, room): makes the stream of one browser.

    `scope()` returns the browser's current scope. `put` queues a message. `await room()` waits until the browser's send queue has space.
    """


class Starts(Protocol):
    """A service that reads its state from the store before the hub listens."""

    async def start(self) -> None: ...


class Runs(Protocol):
    """A service with a task that runs as long as the hub."""

    async def run(self) -> None: ...


KEEP_S: Final = 400 * 86_400.0
"""How long finished work is stored with all that belongs to it: jobs, their output, deployments, events."""


class Expiry(NamedTuple):
    """Rows that are removed by age. Each removal is logged as `<what>_expired`."""

    what: str
    kept_s: float
    expire: Callable[[Stores, float], Awaitable[int]]
    """(stores, before): remove some of the rows from before that time. Returns: how many; 0: none is left."""


class Slice(NamedTuple):
    """All that one part of the hub (jobs, alerts, …) adds to the application."""

    name: str
    routes: tuple[Route, ...] = ()
    topics: tuple[LiveTopic, ...] = ()
    provides: tuple[Provider, ...] = ()
    """The services of this part. Their factories may take any other service from `Services`; the order of the rows has no effect."""
    starts: tuple[type[Starts], ...] = ()
    """Services that the hub starts before it listens."""
    tasks: tuple[type[Runs], ...] = ()
    """Services that the hub runs."""
    expires: tuple[Expiry, ...] = ()
    per_org: tuple[type, ...] = ()
    """Services of which each organisation has an instance of its own; `tasks` among them run for each."""
