"""Protocol metrics: TCP and UDP counters, sockets, and tracked connections of the firewall."""

from typing import Dict, List, Optional, Tuple

from spider.sampling.collectors.base import Collector, KernelFile, MaybeFile, Previous, counters, level, numbers, per_second_of_all
from spider.sampling.collectors.memory import PAGE_BYTES
from spider.sampling.collectors.tcp import parse_sockstat

CounterSums = Tuple[Tuple[str, Tuple[str, ...], int], ...]
"""Metric, the counters of the kernel that it sums, and the factor of the values that are sent."""

_SUMS: CounterSums = (
    ("tcp.opened", ("Tcp.ActiveOpens",), 100),
    ("tcp.accepted", ("Tcp.PassiveOpens",), 100),
    ("tcp.failed", ("Tcp.AttemptFails",), 100),
    ("tcp.resets", ("Tcp.EstabResets",), 100),
    ("tcp.resets_sent", ("Tcp.OutRsts",), 100),
    ("tcp.segments_received", ("Tcp.InSegs",), 1),
    ("tcp.segments_sent", ("Tcp.OutSegs",), 1),
    ("tcp.retransmits", ("Tcp.RetransSegs",), 100),
    ("tcp.listen_overflows", ("TcpExt.ListenOverflows",), 100),
    ("tcp.listen_drops", ("TcpExt.ListenDrops",), 100),
    ("udp.received", ("Udp.InDatagrams", "Udp6InDatagrams"), 100),
    ("udp.sent", ("Udp.OutDatagrams", "Udp6OutDatagrams"), 100),
    ("udp.errors", ("Udp.InErrors", "Udp6InErrors"), 100),
    ("udp.buffer_errors", ("Udp.RcvbufErrors", "Udp.SndbufErrors", "Udp6RcvbufErrors", "Udp6SndbufErrors"), 100),
    ("udp.no_port", ("Udp.NoPorts", "Udp6NoPorts"), 100),
)


def parse_snmp(data: bytes, wanted: Tuple[bytes, ...]) -> Dict[str, int]:
    """Parse some groups of /proc/net/snmp or netstat.

    Args:    wanted: the groups, such as `Tcp`.
    Returns: counters by `Group.Name`.
    Raises:  ValueError: the lines of titles and of numbers differ in length, or a field is not a number.
    Source:  proc_pid_net(5), net/ipv4/proc.c: a line of titles, then a line of numbers, with the same word before the colon.
    """
    found: Dict[str, int] = {}
    titles: Dict[bytes, List[bytes]] = {}
    for line in data.split(b"\n"):
        group, colon, rest = line.partition(b":")
        if not colon or group not in wanted:
            continue
        if group not in titles:
            titles[group] = rest.split()
            continue
        values = rest.split()
        if len(values) != len(titles[group]):
            raise ValueError("a line of numbers does not fit its titles")
        for name, value in zip(titles.pop(group), values):
            found[f"{group.decode()}.{name.decode('ascii', 'replace')}"] = counters([value])[0]
    return found


def parse_snmp6(data: bytes) -> Dict[str, int]:
    """Parse the UDP lines of /proc/net/snmp6: one name and one number each.

    Raises: ValueError: a line has another form.
    """
    found: Dict[str, int] = {}
    for line in data.split(b"\n"):
        if line.startswith(b"Udp6"):
            fields = line.split()
            if len(fields) != 2:
                raise ValueError("a line of /proc/net/snmp6 has not two fields")
            found[fields[0].decode("ascii", "replace")] = counters(fields[1:])[0]
    return found


class Protocols(Collector):
    """tcp.opened …, udp.received …: events/s over the last minute. Counters that this kernel lacks are left out."""

    family = "breathe"
    counts = True

    def __init__(self, proc: str = "/proc") -> None:
        super().__init__()
        self._snmp = self._keep_open(MaybeFile(proc + "/net/snmp"))
        self._netstat = self._keep_open(MaybeFile(proc + "/net/netstat"))
        self._snmp6 = self._keep_open(MaybeFile(proc + "/net/snmp6"))
        self._previous: Previous[Dict[str, int]] = Previous({})

    def read(self, now: float) -> List[Optional[int]]:
        found = parse_snmp(self._snmp.read_if_present() or b"", (b"Tcp", b"Udp"))
        found.update(parse_snmp(self._netstat.read_if_present() or b"", (b"TcpExt",)))
        found.update(parse_snmp6(self._snmp6.read_if_present() or b""))
        before, elapsed_s = self._previous.swap(found, now)
        values: List[Tuple[str, Optional[int]]] = []
        for metric, summed, scale in _SUMS:
            there = [name for name in summed if name in found and name in before]
            if there:
                values.append((metric, per_second_of_all([(found[name], before[name]) for name in there], elapsed_s, scale)))
        return self._report(values)


class Sockets(Collector):
    """udp.sockets, tcp.orphans: sockets; tcp.memory: bytes; conntrack.used, limit: connections, where the firewall tracks them."""

    family = "breathe"

    def __init__(self, proc: str = "/proc", page_bytes: int = PAGE_BYTES) -> None:
        super().__init__()
        self._totals = self._keep_open(KernelFile(proc + "/net/sockstat"))
        self._totals6 = self._keep_open(MaybeFile(proc + "/net/sockstat6"))
        self._tracked = self._keep_open(MaybeFile(proc + "/sys/net/netfilter/nf_conntrack_count"))
        self._limit = self._keep_open(MaybeFile(proc + "/sys/net/netfilter/nf_conntrack_max"))
        self._page_bytes = page_bytes

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - only rates need the time
        data, data6 = self._totals.read(), self._totals6.read_if_present() or b""
        tcp, udp, udp6 = parse_sockstat(data, b"TCP"), parse_sockstat(data, b"UDP"), parse_sockstat(data6, b"UDP6")
        found: Dict[str, Optional[int]] = {}
        if "inuse" in udp:
            found["udp.sockets"] = level(udp["inuse"] + udp6.get("inuse", 0))
        if "orphan" in tcp:
            found["tcp.orphans"] = level(tcp["orphan"])
        if "mem" in tcp:
            found["tcp.memory"] = level(tcp["mem"] * self._page_bytes)
        used, limit = self._tracked.read_if_present(), self._limit.read_if_present()
        if used is not None and limit is not None:
            found["conntrack.used"], found["conntrack.limit"] = numbers([used.strip(), limit.strip()])
        return self._report(found.items())
