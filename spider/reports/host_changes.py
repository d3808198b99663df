"""Finds what changed on this host between two looks, and reports it as events: units that failed, run again or were restarted, ports, file systems
that became read-only, and processes that the kernel killed for want of memory.

What comes and goes between two looks is not seen. Left out on purpose: whatever the first look of a run shows; what a look cannot read; units
that get a new name at each start, and sessions; units that somebody started or stopped, since many do so by themselves; UDP, ports from
`EPHEMERAL_PORT` on, and ports without a known owner; a port that only one look shows, or only one misses, such as while its service is restarted.
"""

import json
import logging
import re
import time
from collections import deque
from typing import Awaitable, Callable, Deque, Dict, List, Optional, Set, Tuple

from spider.clock import Clock
from spider.logs import event
from spider.reports.event_queue import ReportedEvent
from spider.sampling.collectors.cgroup import is_transient
from spider.sampling.collectors.host_look import HostLook, Mounted, Units
from spider.sampling.collectors.systemd_units import Starts
from spider.threads import run_in_thread
from spider.wire.ids import new_time_id

FIRST_S = 120.0
"""Delay of the first look: after a boot, what is started late is no change."""
LOOK_S = 60.0
COST_SHARE = 0.002
"""Largest share of a core for looks. If they cost more, the host is looked at less often."""
MOST_AT_ONCE = 30
"""Most events of one look. It leaves programs half of what the hub takes from a node in a minute."""
MOST_AN_HOUR = 6
"""Most events of one type about one thing in an hour, such as a unit that fails again and again."""
_CONTAINER_ID = re.compile(r" [0-9a-f]{12}\Z")

log = logging.getLogger(__name__)
Port = Tuple[str, str, str]
"""Protocol, port and owner."""
Found = Tuple[str, Dict[str, object], int]
"""Type, details and time (Unix milliseconds) of an event."""


class HostChanges:
    """Looks and reports. `run` it as one task."""

    def __init__(
        self,
        clock: Clock,
        look: Callable[[float], HostLook],
        starts: Starts,
        report: Callable[[List[ReportedEvent]], Awaitable[None]],
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        """Args: look: blocks. report: stores events until the hub has them. spent: CPU seconds of the calling thread."""
        self._clock = clock
        self._look = look
        self._starts = starts
        self._report = report
        self._spent = spent
        self._cost_s = 0.0
        self._failing = False
        self._failed: Optional[Set[str]] = None
        """The units that have failed and not run since; None: no look has shown units."""
        self._active: Set[str] = set()
        self._restarting: Set[str] = set()
        """Services that were active and have started since; it is not known yet whether they run."""
        self._ports: Optional[Set[Port]] = None
        """The reported ports: those that two looks in a row have shown, and no two have missed."""
        self._last_ports: Set[Port] = set()
        self._last_ports_ms = 0
        self._mounts: Dict[str, Mounted] = {}
        self._oom_kills = -1
        self._recent: Dict[Tuple[str, str], Deque[float]] = {}

    async def run(self) -> None:
        """Look and report until cancelled."""
        await self._clock.sleep(FIRST_S)
        while True:
            try:
                look, started = await run_in_thread(self._read, "changes")
                found = self._within_limits(self.compare(look, started))
                if found:
                    await self._report(found)
                self._failing = False
            except Exception as error:  # an error in one look must not stop samples and jobs
                if not self._failing:
                    event(log, "changes_unreadable", logging.WARNING, exc_info=not isinstance(error, OSError), why=str(error))
                self._failing = True
            await self._clock.sleep(max(LOOK_S, self._cost_s / COST_SHARE))

    def _read(self) -> Tuple[HostLook, List[str]]:
        began = self._spent()
        try:
            started = self._starts.take_new()
            return self._look(self._clock.monotonic()), started
        finally:
            self._cost_s = self._spent() - began

    def compare(self, look: HostLook, started: List[str]) -> List[Found]:
        """What changed since the looks before, the most important first. Args: started: services that have started since the last call."""
        now_ms = int(self._clock.now() * 1000)
        found: List[Found] = []
        if 0 <= self._oom_kills < look.oom_kills:
            found.append(("oom_killed", {"count": look.oom_kills - self._oom_kills}, now_ms))
        self._oom_kills = look.oom_kills if look.oom_kills >= 0 else self._oom_kills
        if look.mounts is not None:
            for point, mounted in sorted(look.mounts.items()):
                if mounted.read_only and point in self._mounts and not self._mounts[point].read_only:
                    found.append(("filesystem_readonly", {"mount": point[:200]}, now_ms))
            self._mounts = look.mounts
        self._restarting |= self._active & set(started)
        if look.units is not None:
            found += self._of_units(look.units, now_ms)
        if look.ports is not None:
            found += self._of_ports(look.ports, now_ms)
        return found

    def _of_units(self, units: Units, now_ms: int) -> List[Found]:
        active, failed = set(units.active), {name for name in units.failed if not is_transient(name)}
        before = failed if self._failed is None else self._failed
        found: List[Found] = [("unit_failed", {"unit": name}, now_ms) for name in sorted(failed - before)]
        found += [("unit_recovered", {"unit": name}, now_ms) for name in sorted((before - failed) & active)]
        for name in sorted(self._restarting & active - before):
            if not is_transient(name):
                found.append(("unit_restarted", {"unit": name}, self._starts.started_ms(name) or now_ms))
        self._restarting -= active | set(units.failed)
        self._failed = failed | (before & set(units.restarting))
        self._active = active
        return found

    def _of_ports(self, lines: List[str], now_ms: int) -> List[Found]:
        now = {port for port in map(_port, lines) if port is not None}
        if self._ports is None:
            self._ports, self._last_ports = now, now
        added, removed = (now & self._last_ports) - self._ports, self._ports - now - self._last_ports
        found: List[Found] = []
        for kind, ports in (("listener_added", added), ("listener_removed", removed)):
            for protocol, number, owner in sorted(ports):
                found.append((kind, {"protocol": protocol, "port": int(number), "process": owner}, self._last_ports_ms or now_ms))
        self._ports = (self._ports | added) - removed
        self._last_ports, self._last_ports_ms = now, now_ms
        return found

    def _within_limits(self, found: List[Found]) -> List[ReportedEvent]:
        now = self._clock.monotonic()
        self._recent = {key: times for key, times in self._recent.items() if now - times[-1] < 3600.0}
        reported: List[ReportedEvent] = []
        for kind, details, at_ms in found:
            text = json.dumps(details, ensure_ascii=False, separators=(",", ":"))
            times = self._recent.setdefault((kind, text), deque([float("-inf")] * MOST_AN_HOUR, maxlen=MOST_AN_HOUR))
            if len(reported) < MOST_AT_ONCE and now - times[0] >= 3600.0:
                times.append(now)
                # The number makes these events one reporter's in the queue. So, if the hub is away for long, they push out none of root's.
                reported.append(ReportedEvent(f"0:{new_time_id(self._clock.now())}", kind, at_ms, "", text))
        self._recent = {key: times for key, times in self._recent.items() if now - times[-1] < 3600.0}
        if len(reported) < len(found):
            event(log, "changes_left_out", logging.INFO, count=len(found) - len(reported))
        return reported


def _port(line: str) -> Optional[Port]:
    """One line of a look, such as `tcp 80 nginx.service`. None: it is left out."""
    protocol, number, owner = line.split(" ", 2)
    owner = _CONTAINER_ID.sub("", owner)  # another container of the same engine is no other owner
    return (protocol, number, owner) if protocol.startswith("tcp") and not is_transient(owner) else None
