"""TCP sockets by state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from spider.sampling.collectors.netlink import NETLINK_SOCK_DIAG, Netlink
from spider.sampling.collectors.tcp import STATES, Tcp, combine, count_states, parse_sockstat
from tests.support.recordings import captured, dumped, write

RARE = {name for name in STATES.values() if name not in ("established", "time_wait")}


class Replay(Netlink):
    """Gives the captured dump, without the states that were not asked for; counts how often; can fail."""

    def __init__(self) -> None:
        super().__init__(NETLINK_SOCK_DIAG)
        self.asked = 0
        self.fails = False

    def dump(self, kind: int, body: bytes) -> Iterator[tuple[bytes, int, int]]:
        self.asked += 1
        if self.fails:
            raise PermissionError(1, "Operation not permitted")
        wanted = int.from_bytes(body[52:56], "little")
        assert (kind, len(body)) == (18, 60)
        return (message for message in dumped("sock_diag") if wanted >> message[0][message[1] + 1] & 1)


@pytest.fixture
def proc(tmp_path: Path) -> str:
    return str(write(tmp_path, {f"net/{name}": captured("netlink", name) for name in ("sockstat", "sockstat6")}))


def test_the_totals_of_the_machine_are_read_by_value() -> None:
    assert parse_sockstat(captured("machine", "net_sockstat"), b"TCP") == {"inuse": 12, "orphan": 0, "tw": 13, "alloc": 12, "mem": 14}
    assert parse_sockstat(captured("machine", "net_sockstat6"), b"TCP6") == {"inuse": 0}
    assert parse_sockstat(captured("machine", "net_sockstat6"), b"TCP") == {}


@pytest.mark.parametrize("text", [b"TCP: inuse\n", b"TCP: inuse x\n", b"TCP: inuse 99999999999999999999\n"])
def test_malformed_sockstat_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_sockstat(text, b"TCP")


def test_a_dump_of_the_kernel_is_counted_by_value() -> None:
    counts, stubs = count_states(dumped("sock_diag"))
    assert counts == {"listen": 2, "established": 8, "fin_wait2": 2, "close_wait": 2, "time_wait": 1}
    assert stubs == 1


def test_socket_totals_supply_the_states_that_a_scan_leaves_out(proc: str) -> None:
    """The captured moment: a whole dump and the totals agree, the stub in FIN_WAIT2 included."""
    tcp = Tcp(proc, Replay())
    values = dict(zip(tcp.series() or ["tcp." + STATES[number] for number in sorted(STATES)], tcp.read(0.0), strict=True))
    assert values == {
        **{"tcp." + name: 0 for name in STATES.values()},
        "tcp.listen": 2,
        "tcp.established": 8,
        "tcp.fin_wait2": 2,
        "tcp.close_wait": 2,
        "tcp.time_wait": 1,
    }
    tcp.close()


def test_connections_being_made_are_in_no_total() -> None:
    values = combine({"listen": 1, "syn_recv": 5}, 0, 4, 0)
    assert (values[0], values[2]) == (3, 5)


def test_costly_scans_are_seldom_and_cheap_totals_each_second(proc: str) -> None:
    replay = Replay()
    spent = iter(float(at) for at in (0, 0.010, 0.010, 0.010, 0.010, 0.010))
    tcp = Tcp(proc, replay, cpu_time=lambda: next(spent))
    tcp.read(0.0)
    for second in range(1, 20):
        tcp.read(float(second))
    assert replay.asked == 1
    write(
        Path(proc), {"net/sockstat": captured("netlink", "sockstat").replace(b"inuse 10 orphan 0 tw 2", b"inuse 20010 orphan 0 tw 30002")}
    )
    values = dict(zip(tcp.series(), tcp.read(19.2), strict=True))
    assert (values["tcp.established"], values["tcp.time_wait"]) == (20008, 30001)
    tcp.read(20.0)
    assert replay.asked == 2
    tcp.read(21.0)
    assert replay.asked == 3, "the second scan cost nothing, so it is done each second again"
    tcp.close()


def test_a_host_without_sock_diag_names_time_wait_alone(proc: str) -> None:
    replay = Replay()
    replay.fails = True
    tcp = Tcp(proc, replay)
    assert tcp.read(0.0) == [2]
    assert tcp.series() == ["tcp.time_wait"]
    tcp.read(30.0)
    assert replay.asked == 1
    tcp.close()


def test_a_scan_that_fails_later_gives_nulls_and_is_tried_again(proc: str) -> None:
    replay = Replay()
    tcp = Tcp(proc, replay)
    tcp.read(0.0)
    replay.fails = True
    values = dict(zip(tcp.series(), tcp.read(60.0), strict=True))
    assert values.pop("tcp.time_wait") == 2
    assert set(values.values()) == {None}
    assert tcp.read(60.2)[0] is None
    replay.fails = False
    assert tcp.read(61.5)[0] == 8
    tcp.close()


def test_a_kernel_without_ipv6_is_no_failure(proc: str) -> None:
    Path(proc, "net/sockstat6").unlink()
    tcp = Tcp(proc, Replay())
    assert tcp.read(0.0)[0] == 5
    tcp.close()
