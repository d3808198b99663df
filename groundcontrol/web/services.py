"""What handlers, live topics and tasks work with: the parts that slices and `app.py` provide, found by their type."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Protocol, TypeVar, cast

from groundcontrol.access.addresses import Network
from groundcontrol.access.service import AuthService
from groundcontrol.core.bus import Bus
from groundcontrol.core.ids import HubId
from groundcontrol.core.stores import Stores
from groundcontrol.events.refusals import Refusals
from groundcontrol.web.costs import Costs
from spider.clock import Clock

T = TypeVar("T")


class WebConfig(Protocol):
    """The settings that web reads itself; a slice that needs more asks for `Config`."""

    @property
    def origins(self) -> Collection[str]:
        """The web origins of the page; no other may use a cookie."""
        ...

    @property
    def secure(self) -> bool: ...

    @property
    def trusted_proxies(self) -> tuple[Network, ...]: ...


Provider = tuple[type, "Callable[[Services], object]"]
"""A type, and what makes its instance when it is first asked for."""


def provide(kind: type[T]) -> Callable[[Callable[[Services], T]], Provider]:
    """A row of what a slice provides: `provide(JobService)(lambda services: JobService(services, services.bus))`.

    Two calls, since mypy then checks the instance: in one call it would take `object` for T, and accept anything.
    """
    return lambda make: (kind, make)


class Services:
    """Web's own parts by name, those of slices by their type: `services[JobService]`."""

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
    ) -> None:
        """`build`: of the hub; the page has its own. `providers`: of two for the same type the later one counts."""
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
        self._made: dict[type, object] = {}

    def __getitem__(self, kind: type[T], /) -> T:
        """The one instance of this type, or the store of this Protocol.

        Raises: KeyError: nobody provides it.
        """
        if kind not in self._made:
            make = self._makers.get(kind)
            self._made[kind] = self._stores[kind] if make is None else make(self)
        return cast("T", self._made[kind])
