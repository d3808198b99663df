"""/proc/net/dev, and which interfaces are counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from spider.sampling.collectors.network import (
    InterfaceCounters,
    InterfaceKind,
    LinkSpeeds,
    NetworkFaults,
    Networks,
    choose,
    folded_kind,
    parse_net_dev,
    read_kind,
)
from tests.support.recordings import captured, read, write

CARD = InterfaceKind(hardware=True, stacked=False, master="")
ENSLAVED = InterfaceKind(hardware=True, stacked=False, master="bond0")
STACKED = InterfaceKind(hardware=False, stacked=True, master="")
PLAIN = InterfaceKind(hardware=False, stacked=False, master="")
HEAD = b"Inter-|   Receive\n face |bytes    packets errs\n"


def line(name: str, received: int = 0, sent: int = 0, drops: int = 0) -> bytes:
    return f"{name:>6}: {received} 1 0 {drops} 0 0 0 0 {sent} 1 0 0 0 0 0 0\n".encode()


def test_the_machine_is_read_by_value_without_loopback() -> None:
    assert parse_net_dev(captured("machine", "net_dev")) == {
        "ifb0": InterfaceCounters(0, 0, 0, 0, 0, 0, 0, 0),
        "ifb1": InterfaceCounters(0, 0, 0, 0, 0, 0, 0, 0),
        "eth0": InterfaceCounters(
            received=4587579788,
            packets_received=132813,
            errors_received=0,
            drops_received=0,
            sent=7721379,
            packets_sent=86927,
            errors_sent=0,
            drops_sent=0,
        ),
    }


def test_a_number_may_follow_the_colon_directly() -> None:
    found = parse_net_dev(HEAD + b"  eth0:123 1 2 3 0 0 0 0 456 4 5 6 0 0 0 0\n")
    assert found == {"eth0": InterfaceCounters(123, 1, 2, 3, 456, 4, 5, 6)}


@pytest.mark.parametrize("text", [HEAD + b"eth0 1 2 3\n", HEAD + b"eth0: 1 2 3\n", HEAD + b"eth0: a 1 0 0 0 0 0 0 4 1\n"])
def test_malformed_net_dev_is_refused(text: bytes) -> None:
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
    assert read_kind(sys, "tun0") == STACKED._replace(devtype="tun")
    assert read_kind(sys, "br0") == STACKED._replace(devtype="bridge")
    assert read_kind(sys, "mv0") == PLAIN._replace(devtype="macvlan")
    assert read_kind(sys, "veth1") == InterfaceKind(False, False, "br0")
    assert read_kind(sys, "gone") == PLAIN


PARTS = ("received", "sent", "packets_received", "packets_sent")


def test_rates_need_two_readings_and_interfaces_come_and_go(tmp_path: Path) -> None:
    proc = write(tmp_path, {"net/dev": HEAD + line("lo") + line("eth0", 100, 100)})
    networks = Networks(str(proc), str(tmp_path / "sys"))
    assert networks.read(1.0) == []
    write(tmp_path, {"net/dev": HEAD + line("eth0", 300, 100) + line("eth1", 7, 7)})
    assert networks.read(3.0) == [100, 0, 0, 0]
    assert networks.series() == [f"network.{part}{{interface=eth0}}" for part in PARTS]
    write(tmp_path, {"net/dev": HEAD + line("eth0", 300, 100) + line("eth1", 7, 27)})
    assert networks.read(4.0) == [0] * 5 + [20, 0, 0]
    write(tmp_path, {"net/dev": HEAD + line("eth1", 7, 27)})
    assert networks.read(5.0) == [0] * 4
    assert networks.series() == [f"network.{part}{{interface=eth1}}" for part in PARTS]
    write(tmp_path, {"net/dev": HEAD + line("eth1", 1, 27)})
    assert networks.read(6.0) == [None, 0, 0, 0], "a counter that went back has no rate, and the others have"
    networks.close()


def test_faults_and_state_come_by_the_minute_and_the_rest_is_folded(tmp_path: Path) -> None:
    """As Documentation/ABI/testing/sysfs-class-net has the files of a host of containers."""
    sys = write(tmp_path / "sys", {"class/net/eth0/device/vendor": "x", "class/net/eth0/operstate": "up\n", "class/net/veth1/uevent": "\n"})
    write(sys, {"class/net/veth2/uevent": "\n", "class/net/br0/uevent": "DEVTYPE=bridge\n"})
    write(tmp_path, {"net/dev": HEAD + line("eth0") + line("veth1") + line("veth2") + line("br0")})
    faults = NetworkFaults(str(tmp_path), str(sys))
    faults.read(0.0)
    after = line("eth0", drops=3) + line("veth1", 600, 60) + line("veth2", 1200) + line("br0", 1800) + line("veth3", 9999)
    write(tmp_path, {"net/dev": HEAD + after})
    values = read(faults, 60.0)
    assert values == {
        "network.errors_received{interface=eth0}": 0,
        "network.errors_sent{interface=eth0}": 0,
        "network.drops_received{interface=eth0}": 50,
        "network.drops_sent{interface=eth0}": 0,
        "network.up{interface=eth0}": 1,
        "network.folded_received{kind=bridge}": 30,
        "network.folded_sent{kind=bridge}": 0,
        "network.folded_interfaces{kind=bridge}": 1,
        "network.folded_received{kind=veth}": 30,
        "network.folded_sent{kind=veth}": 1,
        "network.folded_interfaces{kind=veth}": 3,
    }
    faults.close()


@pytest.mark.parametrize(("state", "told"), [("up", 1), ("down", 0), ("lowerlayerdown", 0), ("unknown", None), ("", None)])
def test_an_interface_without_a_known_state_has_no_value(tmp_path: Path, state: str, told: int | None) -> None:
    sys = write(tmp_path, {"class/net/eth0/operstate": state + "\n", "net/dev": HEAD + line("eth0")})
    faults = NetworkFaults(str(tmp_path), str(sys))
    values = read(faults, 0.0)
    assert values.get("network.up{interface=eth0}") == told
    faults.close()


@pytest.mark.parametrize(("text", "told"), [("1000\n", [1_000_000_000]), ("-1\n", []), ("", []), ("4294967295\n", []), ("9" * 30, [])])
def test_link_speed_is_reported_in_bits_where_the_card_knows_it(tmp_path: Path, text: str, told: list[int]) -> None:
    write(tmp_path, {"class/net/eth0/speed": text, "class/net/eth0/device/vendor": "x", "class/net/lo/speed": "10"})
    assert LinkSpeeds(str(tmp_path)).read(0.0) == told


@pytest.mark.parametrize(
    ("name", "kind", "word"),
    [
        ("eth1", ENSLAVED, "member"),
        ("br0", STACKED._replace(devtype="bridge"), "bridge"),
        ("tun0", STACKED._replace(devtype="tun"), "tun"),
        ("veth1a", PLAIN, "veth"),
        ("sit0", PLAIN, "other"),
    ],
)
def test_virtual_interfaces_are_summed_by_kind(name: str, kind: InterfaceKind, word: str) -> None:
    assert folded_kind(name, kind) == word
