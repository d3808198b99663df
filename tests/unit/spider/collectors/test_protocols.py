"""/proc/net/snmp, netstat, snmp6 and sockstat."""

from __future__ import annotations

from pathlib import Path

import pytest

from spider.sampling.collectors.protocols import Protocols, Sockets, parse_snmp, parse_snmp6
from tests.support.recordings import DATA, captured, read, write

MACHINE = "recorded/machine/proc"
TCP = "Tcp: ActiveOpens PassiveOpens MaxConn RetransSegs\nTcp: {} {} -1 {}\n"
UDP = "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\nUdp: {} 0 0 0 0 {}\n"


def test_the_machine_is_read_by_value() -> None:
    found = parse_snmp(captured(MACHINE, "net/snmp"), (b"Tcp", b"Udp"))
    titles, values = (line.split()[1:] for line in captured(MACHINE, "net/snmp").decode().splitlines() if line.startswith("Tcp:"))
    for title, value in zip(titles, values, strict=True):
        assert found[f"Tcp.{title}"] == int(value)
    assert "Ip.InReceives" not in found
    assert {"TcpExt.ListenOverflows", "TcpExt.ListenDrops"} <= set(parse_snmp(captured(MACHINE, "net/netstat"), (b"TcpExt",)))


@pytest.mark.parametrize("text", [b"Tcp: A B\nTcp: 1\n", b"Tcp: A\nTcp: x\n", b"Tcp: A\nTcp: 99999999999999999999\n"])
def test_malformed_snmp_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_snmp(text, (b"Tcp",))


def test_rates_are_sums_of_both_protocols(tmp_path: Path) -> None:
    six = "Ip6InReceives 5\nUdp6InDatagrams {}\nUdp6SndbufErrors 0\n"
    write(tmp_path, {"net/snmp": TCP.format(100, 50, 7) + UDP.format(10, 0), "net/snmp6": six.format(10)})
    protocols = Protocols(str(tmp_path))
    assert protocols.read(0.0) == []
    write(tmp_path, {"net/snmp": TCP.format(160, 50, 10) + UDP.format(70, 6), "net/snmp6": six.format(130)})
    found = read(protocols, 60.0)
    assert found["tcp.opened"] == 100
    assert found["tcp.accepted"] == 0
    assert found["tcp.retransmits"] == 5
    assert found["udp.received"] == 300
    assert found["udp.buffer_errors"] == 10
    assert "tcp.listen_drops" not in found, "there is no netstat here"
    write(tmp_path, {"net/snmp": TCP.format(1, 50, 10) + UDP.format(70, 6), "net/snmp6": six.format(190)})
    found = read(protocols, 120.0)
    assert found["tcp.opened"] is None, "a counter that went back has no rate"
    assert found["udp.received"] == 100
    protocols.close()


def test_snmp6_has_one_pair_a_line() -> None:
    assert parse_snmp6(b"Ip6InReceives \t 1\nUdp6NoPorts                     \t0\nUdpLite6InErrors 4\n") == {"Udp6NoPorts": 0}
    with pytest.raises(ValueError, match="two fields"):
        parse_snmp6(b"Udp6NoPorts\n")


def test_sockets_of_the_machine_are_read_by_value() -> None:
    sockets = Sockets(str(DATA / MACHINE), page_bytes=4096)
    found = read(sockets, 0.0)
    fields = dict(line.split(": ") for line in captured(MACHINE, "net/sockstat").decode().splitlines())
    words = fields["TCP"].split()
    assert found["tcp.orphans"] == int(words[words.index("orphan") + 1])
    assert found["tcp.memory"] == int(words[words.index("mem") + 1]) * 4096
    assert found["udp.sockets"] == int(fields["UDP"].split()[1])
    assert "conntrack.used" not in found, "its files were not recorded"
    sockets.close()


def test_tracked_connections_come_with_their_limit(tmp_path: Path) -> None:
    files = {"net/sockstat": "UDP: inuse 3 mem 1\n", "net/sockstat6": "UDP6: inuse 2\n"}
    files |= {f"sys/net/netfilter/nf_conntrack_{name}": f"{value}\n" for name, value in (("count", 17), ("max", 65536))}
    sockets = Sockets(str(write(tmp_path, files)))
    assert read(sockets, 0.0) == {"udp.sockets": 5, "conntrack.used": 17, "conntrack.limit": 65536}
    sockets.close()
