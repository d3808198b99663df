"""What the network interfaces received and sent."""

import os
import re
from typing import Dict, List, NamedTuple, Optional, Tuple

from spider.collectors.base import MAX_LABELLED, KernelFile, label, numbers, per_second, read_text
from spider.wire.metrics import series_name

LOOK_AGAIN_S = 60.0
"""How often the kinds of the interfaces are read anew though their names have not changed."""

_MADE_HERE = re.compile(
    r"veth|docker|br-|virbr|vnet|tap|lxc|lxdbr|incusbr|podman|cni|cali|flannel|cilium|kube-|ifb|dummy|nlmon|(?:sit|tunl|ip6tnl|gre|gretap|erspan|ip_vti|ip6_vti|ip6gre)0\Z"
)


_ENDS = ("", "wlan", "macvlan", "ipvlan", "macvtap")
"""The DEVTYPEs through which a container may be joined to the world; any other one is built on top of an interface."""


class InterfaceKind(NamedTuple):
    """What /sys/class/net says of an interface."""

    hardware: bool
    """A device stands behind it: a card, or what a hypervisor shows as one."""
    stacked: bool
    """A bridge, bond, VLAN, tunnel or the like: its traffic is that of others."""
    master: str
    """The interface it is enslaved to; empty = none."""


def parse_net_dev(data: bytes) -> Dict[str, Tuple[int, int]]:
    """Read /proc/net/dev.

    Returns: bytes received and sent since the interface exists, by its name; without the loopback one.
    Raises:  ValueError: a line is too short, or a field is not a number.
    Source:  proc_pid_net(5); an interface name holds neither `:` nor white space.
    """
    found: Dict[str, Tuple[int, int]] = {}
    for line in data.split(b"\n")[2:]:
        name, colon, rest = line.partition(b":")
        if not colon:
            if name.strip():
                raise ValueError("a line of /proc/net/dev has no name")
            continue
        fields = rest.split(None, 9)
        if len(fields) < 9:
            raise ValueError("a line of /proc/net/dev is too short")
        received, sent = numbers([fields[0], fields[8]])
        text = name.strip().decode("utf-8", "replace")
        if text != "lo":
            found[text] = (received, sent)
    return found


def choose(kinds: Dict[str, InterfaceKind]) -> List[str]:
    """The interfaces to report: those through which traffic enters and leaves this host, each byte once.

    Those with hardware behind them; what is built on top (bridges, bonds, VLANs, tunnels, the ends of containers) moves the
    same bytes again. The virtual function below a synthetic card is its master's traffic, too. A container has no hardware
    of its own: there, every interface counts that was not made on the spot.
    """
    cards = [name for name, kind in kinds.items() if kind.hardware]
    if cards:
        return sorted(name for name in cards if kinds[name].master not in cards)
    return sorted(name for name, kind in kinds.items() if not kind.stacked and not _MADE_HERE.match(name))


def read_kind(sys: str, name: str) -> InterfaceKind:
    """Ask /sys; without it every interface looks like one of a container."""
    base = f"{sys}/class/net/{name}"
    try:
        master = os.path.basename(os.readlink(base + "/master"))
    except OSError:
        master = ""
    kind = [line[8:] for line in read_text(base + "/uevent").split("\n") if line[:8] == "DEVTYPE="]
    stacked = "".join(kind) not in _ENDS or os.path.exists(base + "/tun_flags")
    return InterfaceKind(os.path.exists(base + "/device"), stacked, master)


class Networks:
    """network.received, network.sent: bytes/s. An interface is named from its second reading on."""

    family = "pulse"
    counts = True
    blocking = False

    def __init__(self, proc: str = "/proc", sys: str = "/sys") -> None:
        self._file = KernelFile(proc + "/net/dev")
        self._sys = sys
        self._before: Dict[str, Tuple[int, int]] = {}
        self._before_at = 0.0
        self._looked_at = 0.0
        self._present: List[str] = []
        self._chosen: List[str] = []
        self._names: List[str] = []
        self._series: List[str] = []

    def series(self) -> List[str]:
        return self._series

    def read(self, now: float) -> List[Optional[int]]:
        counters = parse_net_dev(self._file.read())
        before, elapsed_s = self._before, now - self._before_at
        self._before, self._before_at = counters, now
        present = list(counters)
        if present != self._present or now - self._looked_at >= LOOK_AGAIN_S:
            self._present, self._looked_at = present, now
            self._chosen = choose({name: read_kind(self._sys, name) for name in present})[:MAX_LABELLED]
        names = [name for name in self._chosen if name in before]
        if names != self._names:
            self._names = names
            self._series = [series_name(f"network.{part}", "interface", label(name)) for name in names for part in ("received", "sent")]
        values: List[Optional[int]] = []
        for name in names:
            values.append(per_second(counters[name][0], before[name][0], elapsed_s))
            values.append(per_second(counters[name][1], before[name][1], elapsed_s))
        return values

    def close(self) -> None:
        self._file.close()
