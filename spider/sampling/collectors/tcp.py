"""TCP sockets by state, at a cost that does not grow with the number of connections."""

import struct
import time
from typing import Callable, Dict, Iterable, List, Optional, Tuple

from spider.sampling.collectors.base import Collector, KernelFile, counters, level
from spider.sampling.collectors.netlink import NETLINK_SOCK_DIAG, Netlink, parse_attributes

STATES: Dict[int, str] = {
    1: "established",
    2: "syn_sent",
    3: "syn_recv",
    4: "fin_wait1",
    5: "fin_wait2",
    6: "time_wait",
    7: "close",
    8: "close_wait",
    9: "last_ack",
    10: "listen",
    11: "closing",
}
"""Numbers of include/net/tcp_states.h; the kernel itself reports NEW_SYN_RECV (12) as syn_recv."""

BUDGET = 0.0005
"""Largest share of a core for scans: a scan that took 2 ms is repeated after 4 s."""
MOST_S = 60.0
"""Longest time between two scans, even if they cost more."""

_TCPDIAG_GETSOCK = 18
_INET_DIAG_SHUTDOWN = 8
_BODY_BYTES = 72
_SCANNED = sum(1 << number for number, name in STATES.items() if name not in ("established", "time_wait"))
_REQUEST = struct.pack("=BBBB48xII", 0, 0, 0, 0, _SCANNED, 0)
_ORDER = [name for _, name in sorted(STATES.items())]


def parse_sockstat(data: bytes, name: bytes) -> Dict[str, int]:
    """Parse one line of /proc/net/sockstat or sockstat6.

    Args:    name: the word before the colon, such as `TCP` or `UDP6`.
    Returns: the numbers of the line by name, such as inuse, orphan, tw, alloc, mem; empty: there is no such line.
    Raises:  ValueError: the line is not made of names and numbers.
    Source:  net/ipv4/proc.c: `inuse` counts the sockets of this network namespace that are connected or listen, except those in TIME_WAIT.
    `tw` counts the sockets in TIME_WAIT, of IPv4 and IPv6 together.
    """
    for line in data.split(b"\n"):
        title, colon, rest = line.partition(b":")
        if colon and title == name:
            fields = rest.split()
            if len(fields) % 2:
                raise ValueError("a line of sockstat has a name without a number")
            names = [field.decode("ascii", "replace") for field in fields[::2]]
            return dict(zip(names, counters(fields[1::2])))
    return {}


def count_states(messages: Iterable[Tuple[bytes, int, int]]) -> Tuple[Dict[str, int], int]:
    """Count the sockets of a sock_diag dump.

    Returns: sockets by state, and how many of those in fin_wait2 are only stubs: sockstat counts these as `tw`.
    Raises:  ValueError: a message is too short.
    Source:  sock_diag(7); a stub has no INET_DIAG_SHUTDOWN, which the kernel adds to every full socket (inet_diag.c).
    """
    counts: Dict[int, int] = {}
    stubs = 0
    for data, start, end in messages:
        if end - start < _BODY_BYTES:
            raise ValueError("a sock_diag message is too short")
        state = data[start + 1]
        counts[state] = counts.get(state, 0) + 1
        if state == 5 and all(kind != _INET_DIAG_SHUTDOWN for kind, _ in parse_attributes(data, start + _BODY_BYTES, end)):
            stubs += 1
    return {STATES[state]: count for state, count in counts.items() if state in STATES}, stubs


def combine(scanned: Dict[str, int], stubs: int, inuse: int, time_wait: int) -> List[int]:
    """Compute the number of sockets in each state of `_ORDER`. The scan does not count established and time_wait; the totals of sockstat do.

    Args: scanned, stubs: the result of `count_states`. inuse, time_wait: the totals of sockstat.

    The state established gets the sockets in use minus the scanned ones. Sockets in syn_recv are not in the totals, because such a connection
    has no socket yet. Scan and totals are read at different moments, so established may be wrong by the changes in between.
    """
    others = sum(count for name, count in scanned.items() if name != "syn_recv") - stubs
    found = dict(scanned, established=max(0, inuse - others), time_wait=max(0, time_wait - stubs))
    return [found.get(name, 0) for name in _ORDER]


class Tcp(Collector):
    """tcp.<state>: sockets of IPv4 and IPv6.

    The two totals of the kernel are read each second (4 µs a file). The other states come from sock_diag, which walks the whole connection
    table. So a scan is made only as often as `BUDGET` allows, and its numbers are repeated until the next scan. Without sock_diag (some
    containers) only tcp.time_wait is reported.
    """

    family = "pulse"

    def __init__(self, proc: str = "/proc", netlink: Optional[Netlink] = None, cpu_time: Callable[[], float] = time.thread_time) -> None:
        super().__init__()
        self._totals = self._keep_open(KernelFile(proc + "/net/sockstat"))
        self._totals6 = self._keep_open(KernelFile(proc + "/net/sockstat6"))
        self._netlink = netlink or Netlink(NETLINK_SOCK_DIAG)
        self._cpu_time = cpu_time
        self._scanned: Optional[Tuple[Dict[str, int], int]] = None
        self._next_scan = float("-inf")

    def read(self, now: float) -> List[Optional[int]]:
        totals = parse_sockstat(self._totals.read(), b"TCP")
        inuse, time_wait = totals.get("inuse", 0) + self._inuse6(), totals.get("tw", 0)
        if level(inuse) is None or level(time_wait) is None:
            raise ValueError("a number of sockets is out of range")
        failed = False
        if now >= self._next_scan:
            failed = not self._scan(now)
        if self._scanned is None and "tcp.listen" not in self._series:
            self._series = ["tcp.time_wait"]
            return [time_wait]
        if len(self._series) < len(_ORDER):
            self._series = ["tcp." + name for name in _ORDER]
        if failed or self._scanned is None:
            return [time_wait if name == "time_wait" else None for name in _ORDER]
        return list(combine(*self._scanned, inuse, time_wait))

    def _inuse6(self) -> int:
        try:
            return parse_sockstat(self._totals6.read(), b"TCP6").get("inuse", 0)
        except FileNotFoundError:  # a kernel without IPv6
            return 0

    def _scan(self, now: float) -> bool:
        """Scan all states except the most frequent ones, and schedule the next scan. False: the scan failed."""
        began = self._cpu_time()
        try:
            self._scanned = count_states(self._netlink.dump(_TCPDIAG_GETSOCK, _REQUEST))
        except (OSError, ValueError):
            self._scanned = None
            self._next_scan = now + (MOST_S if "tcp.listen" not in self._series else 1.0)
            return False
        self._next_scan = now + min(MOST_S, (self._cpu_time() - began) / BUDGET) - 0.5
        return True

    def close(self) -> None:
        super().close()
        self._netlink.close()
