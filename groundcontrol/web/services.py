"""The registry of services for handlers, live topics and tasks. Slices and `app.py` provide them by type."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from copy import copy
from typing import Protocol, TypeVar, cast

from groundcontrol.access.addresses import Network
from groundcontrol.access.service import AuthService
from groundcontrol.core.bus import Bus
from groundcontrol.core.ids import HubId
from groundcontrol.core.scope import DEFAULT_ORG
from groundcontrol.core.stores import Stores
from groundcontrol.events.refusals import Refusals
from groundcontrol.web.costs import Costs
from spider.clock import Clock

T = TypeVar("T")


class WebConfig(Protocol):
    """The settings that `web` reads. A slice that needs other settings takes `Config`."""

    @property
    def origins(self) -> Collection[str]:
        """The origins of the page. Requests from other origins may not use cookies."""
        ...

    @property
    def origin(self) -> str:
        """The origin for links."""
        ...

    @property
    def loopback_only(self) -> bool:
        """Whether only this machine can reach the hub's port."""
        ...

    @property
    def secure(self) -> bool: ...

    @property
    def signed(self) -> bool:
        """Whether browsers use TLS with a certificate that they trust without a question."""
        ...

    @property
    def direct(self) -> bool:
        """Whether clients connect without a proxy."""
        ...

    @property
    def trusted_proxies(self) -> tuple[Network, ...]: ...


Provider = tuple[type, "Callable[[Services], object]"]
"""A type, and the factory of its instance, which runs at the first access."""


def provide(kind: type[T]) -> Callable[[Callable[[Services], T]], Provider]:
    """Declare a service of a slice: `provide(JobService)(lambda services: JobService(services, services.bus))`.

    With two calls mypy checks the instance. With one call it would infer `object` for T and accept anything.
    """
    return lambda make: (kind, make)


class Services:
    """The parts that `web` needs, as attributes, and the services of slices by type: `services[JobService]`."""

    def __init__(
        self,
        *,
        config: WebConfig,
        clock: Clock,
        bus: Bus,
        auth: AuthService,
        refusals: Refusals,
        hub_id: HubId,
        build: str,
        costs: Costs,
        stores: Stores,
        providers: Iterable[Provider],
        per_org: Iterable[type] = (),
    ) -> None:
        """Args: build: the hub's build, which differs from the page's. providers: a later provider of a type replaces an earlier one.
        per_org: types of which each organisation has an instance of its own."""
        self.org = DEFAULT_ORG
        """The organisation for which these services act."""
        self.config = config
        self.clock = clock
        self.bus = bus
        self.auth = auth
        self.refusals = refusals
        self.hub_id = hub_id
        self.build = build
        self.costs = costs
        self._stores = stores
        self._makers = dict(providers)
        self._shared: dict[type, object] = {}
        self._own: dict[type, object] = {}
        self._per_org = frozenset(per_org)
        self._instance = self
        self._of: dict[int, Services] = {DEFAULT_ORG: self}
        self.running: dict[int, list[asyncio.Task[None]]] = {}
        """Organisation -> its tasks."""
        self.org_added = asyncio.Event()
        """Set when `of` has made the services of another organisation."""

    @property
    def orgs(self) -> tuple[int, ...]:
        """The organisations for which `of` has made services."""
        return tuple(self._of)

    def of(self, org: int) -> Services:
        """The services that act for an organisation. They share all instances but those of `per_org`."""
        found = self._of.get(org)
        if found is None:
            found = copy(self._instance)
            found.org, found._own = org, {}  # noqa: SLF001  it is a copy of its own class
            self._of[org] = found
            self.org_added.set()
        return found

    async def end(self, org: int) -> None:
        """End the tasks of a deleted organisation, and forget its services."""
        self._of.pop(org, None)
        tasks = self.running.pop(org, [])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __getitem__(self, kind: type[T], /) -> T:
        """The instance of this type, or the store that implements this Protocol.

        Raises: KeyError: no provider for this type.
        """
        own = kind in self._per_org
        made = self._own if own else self._shared
        if kind not in made:
            make = self._makers.get(kind)
            made[kind] = self._stores[kind] if make is None else make(self if own else self._instance)
        return cast("T", made[kind])
