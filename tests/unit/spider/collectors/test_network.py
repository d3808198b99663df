"""/proc/net/dev, and which interfaces count."""

from __future__ import annotations

from pathlib import Path

import pytest

from spider.collectors.network import InterfaceKind, Networks, choose, parse_net_dev, read_kind
from tests.unit.spider.collectors.captured import captured, write

CARD = InterfaceKind(hardware=True, stacked=False, master="")
ENSLAVED = InterfaceKind(hardware=True, stacked=False, master="bond0")
STACKED = InterfaceKind(hardware=False, stacked=True, master="")
PLAIN = InterfaceKind(hardware=False, stacked=False, master="")
HEAD = b"Inter-|   Receive\n face |bytes    packets errs\n"


def line(name: str, received: int = 0, sent: int = 0) -> bytes:
    return f"{name:>6}: {received} 1 0 0 0 0 0 0 {sent} 1 0 0 0 0 0 0\n".encode()


def test_the_machine_is_read_by_value_without_loopback() -> None:
    assert parse_net_dev(captured("machine", "net_dev")) == {"ifb0": (0, 0), "ifb1": (0, 0), "eth0": (4587579788, 7721379)}


def test_a_number_may_touch_the_colon() -> None:
    assert parse_net_dev(HEAD + b"  eth0:123 1 0 0 0 0 0 0 456 1 0 0 0 0 0 0\n") == {"eth0": (123, 456)}


@pytest.mark.parametrize("text", [HEAD + b"eth0 1 2 3\n", HEAD + b"eth0: 1 2 3\n", HEAD + b"eth0: a 1 0 0 0 0 0 0 4 1\n"])
def test_what_is_no_net_dev_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_net_dev(text)


@pytest.mark.parametrize(
    ("kinds", "chosen"),
    [
        ({"eth0": CARD, "ifb0": PLAIN}, ["eth0"]),
        ({"eth1": ENSLAVED, "eth0": ENSLAVED, "bond0": STACKED, "bond0.7": STACKED}, ["eth0", "eth1"]),
        ({"eth0": CARD, "docker0": STACKED, "veth1f2e": PLAIN, "wg0": STACKED, "tun0": STACKED}, ["eth0"]),
        ({"eth0": CARD, "enP1": InterfaceKind(True, False, "eth0")}, ["eth0"]),
        ({"eth0": PLAIN, "wg0": STACKED, "sit0": PLAIN, "docker0": STACKED, "veth9": PLAIN}, ["eth0"]),
        ({"host0": PLAIN}, ["host0"]),
        ({"venet0": PLAIN}, ["venet0"]),
        ({}, []),
    ],
    ids=["machine", "bond", "containers and tunnels", "virtual function", "container", "nspawn", "openvz", "none"],
)
def test_each_byte_is_counted_where_it_enters_or_leaves(kinds: dict[str, InterfaceKind], chosen: list[str]) -> None:
    assert choose(kinds) == chosen


def test_kinds_come_from_sys(tmp_path: Path) -> None:
    """As Documentation/ABI/testing/sysfs-class-net has them."""
    write(tmp_path, {f"class/net/{name}/uevent": f"INTERFACE={name}\n" for name in ("eth0", "veth1", "tun0")})
    write(tmp_path, {"class/net/eth0/device/vendor": "0x8086", "class/net/tun0/tun_flags": "0x1001"})
    write(tmp_path, {"class/net/br0/uevent": "DEVTYPE=bridge\nINTERFACE=br0\n", "class/net/mv0/uevent": "DEVTYPE=macvlan\n"})
    (tmp_path / "class/net/veth1/master").symlink_to("../br0")
    sys = str(tmp_path)
    assert read_kind(sys, "eth0") == CARD
    assert read_kind(sys, "tun0") == STACKED
    assert read_kind(sys, "br0") == STACKED
    assert read_kind(sys, "mv0") == PLAIN
    assert read_kind(sys, "veth1") == InterfaceKind(False, False, "br0")
    assert read_kind(sys, "gone") == PLAIN


def test_rates_need_two_readings_and_interfaces_come_and_go(tmp_path: Path) -> None:
    proc = write(tmp_path, {"net/dev": HEAD + line("lo") + line("eth0", 100, 100)})
    networks = Networks(str(proc), str(tmp_path / "sys"))
    assert networks.read(1.0) == []
    write(tmp_path, {"net/dev": HEAD + line("eth0", 300, 100) + line("eth1", 7, 7)})
    assert networks.read(3.0) == [100, 0]
    assert networks.series() == ["network.received{interface=eth0}", "network.sent{interface=eth0}"]
    write(tmp_path, {"net/dev": HEAD + line("eth0", 300, 100) + line("eth1", 7, 27)})
    assert networks.read(4.0) == [0, 0, 0, 20]
    write(tmp_path, {"net/dev": HEAD + line("eth1", 7, 27)})
    assert networks.read(5.0) == [0, 0]
    assert networks.series() == ["network.received{interface=eth1}", "network.sent{interface=eth1}"]
    networks.close()
