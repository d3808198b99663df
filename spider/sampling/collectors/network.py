"""Traffic and errors of the network interfaces."""

import os
import re
from typing import Dict, List, NamedTuple, Optional

from spider.files import read_text
from spider.sampling.collectors.base import (
    LARGEST,
    MAX_LABELLED,
    Collector,
    KernelFile,
    Previous,
    counters,
    label,
    per_second,
    per_second_fine,
    per_second_of_all,
)
from spider.wire.metrics import series_name

MAX_FOLDED = 24
"""Most types of interfaces for which a sum is reported."""
RESCAN_S = 60.0
"""Interval of reading the interface types while the names do not change."""

_VIRTUAL_NAMES = re.compile(
    r"veth|docker|br-|virbr|vnet|tap|lxc|lxdbr|incusbr|podman|cni|cali|flannel|cilium|kube-|ifb|dummy|nlmon|(?:sit|tunl|ip6tnl|gre|gretap|erspan|ip_vti|ip6_vti|ip6gre)0\Z"
)


_PULSE_PARTS = ("received", "sent", "packets_received", "packets_sent")
_FAULTS = ("errors_received", "errors_sent", "drops_received", "drops_sent")
_STATES = {"up": 1, "down": 0, "lowerlayerdown": 0, "dormant": 0, "testing": 0, "notpresent": 0}
"""Value of network.up by operational state (RFC 2863). Drivers without a state (loopback, tun, some virtual cards) report `unknown`, which
gives no network.up."""
_UNKNOWN_SPEED = 2**32 - 1
_CARRIES_NOTHING = re.compile(r"dummy|nlmon|ifb|(?:sit|tunl|ip6tnl|gre|gretap|erspan|ip_vti|ip6_vti|ip6gre)0\Z")

_ENDS = ("", "wlan", "macvlan", "ipvlan", "macvtap")
"""The types (DEVTYPE) of interfaces that connect a container to the network. An interface of any other type is built on another interface."""


class InterfaceKind(NamedTuple):
    """The type of an interface, from /sys/class/net."""

    hardware: bool
    """It has a device: a card, or a virtual card of a hypervisor."""
    stacked: bool
    """A bridge, bond, VLAN, tunnel or the like, whose traffic also passes other interfaces."""
    master: str
    """Name of the interface that this one is enslaved to; empty = none."""
    devtype: str = ""
    """The kernel's word for its type (bridge, bond, vlan, vxlan, wireguard …), or tun; empty = no type."""


class InterfaceCounters(NamedTuple):
    """Totals since the interface was created."""

    received: int
    packets_received: int
    errors_received: int
    drops_received: int
    sent: int
    packets_sent: int
    errors_sent: int
    drops_sent: int


def parse_net_dev(data: bytes) -> Dict[str, InterfaceCounters]:
    """Parse /proc/net/dev.

    Returns: the counters by the interface's name, without the loopback interface.
    Raises:  ValueError: a line is too short or has no name, or a field is not a number.
    Source:  proc_pid_net(5), net/core/net-procfs.c: received errors include frame, length and checksum errors; drops include packets for
    which there was no buffer. An interface name contains neither `:` nor white space.
    """
    found: Dict[str, InterfaceCounters] = {}
    for line in data.split(b"\n")[2:]:
        name, colon, rest = line.partition(b":")
        if not colon:
            if name.strip():
                raise ValueError("a line of /proc/net/dev has no name")
            continue
        fields = rest.split(None, 12)
        if len(fields) < 12:
            raise ValueError("a line of /proc/net/dev is too short")
        values = counters(fields[:4] + fields[8:12])
        text = name.strip().decode("utf-8", "replace")
        if text != "lo":
            found[text] = InterfaceCounters(*values)
    return found


def choose(kinds: Dict[str, InterfaceKind]) -> List[str]:
    """The interfaces to report: those with the external traffic of this host, so that each byte counts once.

    These are the interfaces with hardware. Bridges, bonds, VLANs, tunnels and the ends of containers carry the same bytes again and are left
    out. So are the virtual function below a synthetic card, and the ports of a switch behind a card (DSA). A container has no hardware. There,
    an interface counts if it is not built on another one and has no name of a virtual one (`veth0`).
    """
    cards = [name for name, kind in kinds.items() if kind.hardware and kind.devtype != "dsa"]
    if cards:
        return sorted(name for name in cards if kinds[name].master not in cards)
    return sorted(name for name, kind in kinds.items() if not kind.stacked and not _VIRTUAL_NAMES.match(name))


def read_kind(sys: str, name: str) -> InterfaceKind:
    """Read the type from /sys. An interface that is not in /sys gets the type of a container's interface: no hardware, not stacked."""
    base = f"{sys}/class/net/{name}"
    try:
        master = os.path.basename(os.readlink(base + "/master"))
    except OSError:
        master = ""
    kind = "".join(line[8:] for line in read_text(base + "/uevent").split("\n") if line[:8] == "DEVTYPE=")
    tunnel = os.path.exists(base + "/tun_flags")
    return InterfaceKind(os.path.exists(base + "/device"), kind not in _ENDS or tunnel, master, "tun" if tunnel else kind)


def folded_kind(name: str, kind: InterfaceKind) -> str:
    """The word under which the traffic of an interface without its own series is summed up: `member` (a card), its type, `veth` (an end of a
    container), or `other`."""
    if kind.hardware:
        return "member"
    if kind.devtype and kind.devtype not in _ENDS:
        return label(kind.devtype)[:32]
    return "veth" if kind.devtype in _ENDS and not _CARRIES_NOTHING.match(name) else "other"


class _Interfaces:
    """The interfaces and their types. They are read again when a name appears or disappears, and every `RESCAN_S`."""

    def __init__(self, sys: str) -> None:
        self._sys = sys
        self._looked_at = float("-inf")
        self._present: List[str] = []
        self.kinds: Dict[str, InterfaceKind] = {}
        self.chosen: List[str] = []

    def look(self, present: List[str], now: float) -> None:
        """Update `kinds` and `chosen`, if these names differ from the last ones or `RESCAN_S` have passed."""
        if present != self._present or now - self._looked_at >= RESCAN_S:
            self._present, self._looked_at = present, now
            self.kinds = {name: read_kind(self._sys, name) for name in present}
            self.chosen = choose(self.kinds)[:MAX_LABELLED]


class Networks(Collector):
    """network.received, sent: bytes/s; packets_received, packets_sent: packets/s. An interface's series begin with its second reading."""

    family = "pulse"
    counts = True

    def __init__(self, proc: str = "/proc", sys: str = "/sys") -> None:
        super().__init__()
        self._file = self._keep_open(KernelFile(proc + "/net/dev"))
        self._interfaces = _Interfaces(sys)
        self._previous: Previous[Dict[str, InterfaceCounters]] = Previous({})
        self._names: List[str] = []

    def read(self, now: float) -> List[Optional[int]]:
        present = parse_net_dev(self._file.read())
        before, elapsed_s = self._previous.swap(present, now)
        self._interfaces.look(list(present), now)
        names = [name for name in self._interfaces.chosen if name in before]
        if names != self._names:
            self._names = names
            self._series = [series_name(f"network.{part}", "interface", label(name)) for name in names for part in _PULSE_PARTS]
        values: List[Optional[int]] = []
        for name in names:
            later, earlier = present[name], before[name]
            values.append(per_second(later.received, earlier.received, elapsed_s))
            values.append(per_second(later.sent, earlier.sent, elapsed_s))
            values.append(per_second(later.packets_received, earlier.packets_received, elapsed_s))
            values.append(per_second(later.packets_sent, earlier.packets_sent, elapsed_s))
        return values


class NetworkFaults(Collector):
    """network.errors_…, drops_…: packets/s; network.up: 1 or 0; and the sums over interfaces without their own series.

    Bridges, bonds, VLANs, tunnels and the ends of containers carry the bytes of cards again. A container host has hundreds of them, many of
    them short-lived, so they are summed up by type.
    """

    family = "breathe"
    counts = True

    def __init__(self, proc: str = "/proc", sys: str = "/sys") -> None:
        super().__init__()
        self._file = self._keep_open(KernelFile(proc + "/net/dev"))
        self._sys = sys
        self._interfaces = _Interfaces(sys)
        self._previous: Previous[Dict[str, InterfaceCounters]] = Previous({})

    def read(self, now: float) -> List[Optional[int]]:
        present = parse_net_dev(self._file.read())
        before, elapsed_s = self._previous.swap(present, now)
        self._interfaces.look(list(present), now)
        found: Dict[str, Optional[int]] = {}
        for name in self._interfaces.chosen:
            text = label(name)
            if name in before:
                later, earlier = present[name], before[name]
                for part in _FAULTS:
                    rate = per_second_fine(getattr(later, part), getattr(earlier, part), elapsed_s, 1000)
                    found[series_name("network." + part, "interface", text)] = rate
            state = read_text(f"{self._sys}/class/net/{name}/operstate", 32)
            if state in _STATES:
                found[series_name("network.up", "interface", text)] = _STATES[state]
        found.update(self._folded(present, before, elapsed_s))
        return self._report(found.items())

    def _folded(
        self, present: Dict[str, InterfaceCounters], before: Dict[str, InterfaceCounters], elapsed_s: float
    ) -> Dict[str, Optional[int]]:
        groups: Dict[str, List[str]] = {}
        for name, kind in self._interfaces.kinds.items():
            if name not in self._interfaces.chosen and name in present:
                groups.setdefault(folded_kind(name, kind), []).append(name)
        found: Dict[str, Optional[int]] = {}
        for word in sorted(groups)[:MAX_FOLDED]:
            # An interface without an earlier reading has no difference, so it is not in this sum.
            pairs = [(present[name], before[name]) for name in groups[word] if name in before]
            received = per_second_of_all(((later.received, earlier.received) for later, earlier in pairs), elapsed_s)
            sent = per_second_of_all(((later.sent, earlier.sent) for later, earlier in pairs), elapsed_s)
            found[series_name("network.folded_received", "kind", word)] = received if pairs else None
            found[series_name("network.folded_sent", "kind", word)] = sent if pairs else None
            found[series_name("network.folded_interfaces", "kind", word)] = len(groups[word])
        return found


class LinkSpeeds(Collector):
    """network.speed: bits/s. Cards without a carrier and virtual cards report no speed and are left out."""

    family = "cycle"
    blocking = True  # the kernel queries the driver, which may query its chip

    def __init__(self, sys: str = "/sys") -> None:
        super().__init__()
        self._sys = sys

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - only rates need the time
        found: Dict[str, Optional[int]] = {}
        try:
            present = sorted(os.listdir(self._sys + "/class/net"))
        except OSError:
            present = []
        for name in choose({name: read_kind(self._sys, name) for name in present if name != "lo"})[:MAX_LABELLED]:
            text = read_text(f"{self._sys}/class/net/{name}/speed", 32)
            if text.isdecimal() and 0 < int(text) < LARGEST // 1_000_000 and int(text) != _UNKNOWN_SPEED:
                found[series_name("network.speed", "interface", label(name))] = int(text) * 1_000_000
        return self._report(found.items())
