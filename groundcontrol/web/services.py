"""What handlers and live topics work with. `app.py` fills it; web knows no slice by it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Protocol, TypeVar, cast

from groundcontrol.access.addresses import Network
from groundcontrol.access.service import AuthService
from groundcontrol.core.bus import Bus
from groundcontrol.core.ids import HubId
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


def provide(kind: type[T]) -> Callable[[T], tuple[type, object]]:
    """An entry for `Services`: `provide(NodeStore)(store.nodes)`.

    Two calls, since mypy then checks the instance: in one call it would take `object` for T, and accept anything.
    """
    return lambda instance: (kind, instance)


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
        provided: Iterable[tuple[type, object]],
    ) -> None:
        """`build`: of the hub; the page has its own. `provided`: see `provide`."""
        self.config = config
        self.clock = clock
        self.bus = bus
        self.auth = auth
        self.refusals = refusals
        self.hub_id = hub_id
        self.build = build
        self.costs = costs
        self._provided = dict(provided)

    def __getitem__(self, kind: type[T]) -> T:
        """Raises: KeyError: nobody provides it."""
        try:
            return cast("T", self._provided[kind])
        except KeyError:
            raise KeyError(f"no service provides {kind.__module__}.{kind.__qualname__}") from None
