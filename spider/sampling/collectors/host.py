"""Selects the collectors for the operating system of this host."""

import sys
from typing import List, Optional, Protocol, Sequence

from spider.clock import Clock
from spider.sampling.collectors.base import Collector
from spider.sampling.collectors.clock import HubTime
from spider.sampling.collectors.container_engines import Names
from spider.sampling.collectors.table_reader import TableReader
from spider.wire.report_messages import Identity


class HostIdentity(Protocol):
    """Reads the identity of this host."""

    def read(self, now: float, version: str, policy_mode: str, policy_verbs: Sequence[str], units: int = 0) -> Identity:
        """Read it. A hung disk may block it. Args: now: Unix seconds. The others are copied into the result."""
        ...


def host_identity(platform: str = sys.platform) -> HostIdentity:
    """The reader of this host's identity."""
    if platform == "darwin":
        from spider.sampling.collectors.darwin_identity import DarwinIdentityReader  # noqa: PLC0415 - each system loads only its own readers

        return DarwinIdentityReader()
    from spider.sampling.collectors.identity import IdentityReader  # noqa: PLC0415

    return IdentityReader()


def host_collectors(
    clock: Clock,
    hub_time: HubTime = lambda: None,
    platform: str = sys.platform,
    names: Optional[Names] = None,
    sensors_refused: Sequence[str] = (),
) -> List[Collector]:
    """All collectors of this host; each is used by one sampler only.

    Args: hub_time: the last received time of the hub. names: shared with the tables.
          sensors_refused: patterns of sensors that the owner leaves out.
    """
    if platform == "darwin":
        from spider.sampling.collectors.darwin import darwin_collectors  # noqa: PLC0415 - each system loads only its own readers

        return darwin_collectors(clock, hub_time)
    from spider.sampling.collectors.linux import linux_collectors  # noqa: PLC0415

    return linux_collectors(clock=clock, hub_time=hub_time, names=names, sensors_refused=sensors_refused)


def host_tables(platform: str = sys.platform, names: Optional[Names] = None) -> List[TableReader]:
    """The readers of this host's tables; each is used by one `Tables` only."""
    if platform == "darwin":
        return []
    from spider.sampling.collectors.linux import linux_tables  # noqa: PLC0415

    return linux_tables(names=names)
