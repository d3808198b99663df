"""Counters that decrease (resume, live migration) or that the kernel made negative: null for one sample, only for their own metric."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from spider.sampling.collectors.base import Collector, counters, gained, per_second, per_second_fine
from spider.sampling.collectors.cpu import CoresAndScheduler, Cpu, CpuTicks, busy_percent, shares
from spider.sampling.collectors.disk import Disks, Volumes, mean_wait
from spider.sampling.collectors.memory import MemoryDetails, Paging
from spider.sampling.collectors.network import NetworkFaults, Networks
from spider.sampling.collectors.pressure import Pressure
from spider.sampling.collectors.processes import Processes
from spider.sampling.collectors.protocols import Protocols, Sockets
from spider.sampling.collectors.tcp import Tcp
from tests.support.recordings import captured, read, write
from tests.support.some import some

Made = Callable[[str], Collector]
BELOW_ZERO = 2**64 - 5
"""-5, as a kernel writes an unsigned number."""
JUMP = 1844674407370
"""2**64 ns in ticks: what the stolen time of some guests becomes."""


def stat(ticks: list[int], busier: int = 0, blocked: int = 1) -> str:
    """Two cores: the first one with these ticks, the second with 100 a second."""
    first = [*ticks, *[0] * (10 - len(ticks))]
    second = [50 + busier, 0, 0, 50 + busier, 0, 0, 0, 0, 0, 0]
    both = [one + other for one, other in zip(first, second, strict=True)]
    lines = [" ".join(map(str, row)) for row in (["cpu", *both], ["cpu0", *first], ["cpu1", *second])]
    return "\n".join(lines) + f"\nintr 9 1\nctxt 9\nprocesses 9\nprocs_running 1\nprocs_blocked {blocked}\n"


def test_decreasing_idle_time_is_not_load(tmp_path: Path) -> None:
    """The first core of a guest after a live migration; it gave 100 % before."""
    cpu = Cpu(str(write(tmp_path, {"stat": stat([50, 0, 0, 5000, 0, 0, 0, 0])})))
    cpu.read(0.0)
    write(tmp_path, {"stat": stat([60, 0, 0, 90, 0, 0, 0, 0], 50)})
    values = read(cpu, 1.0)
    assert values["cpu.total"] is None
    assert values["cpu.core{core=0}"] is None
    assert values["cpu.core{core=1}"] == 50
    assert values["processes.running"] == 1
    write(tmp_path, {"stat": stat([85, 0, 0, 165, 0, 0, 0, 0], 100)})
    values = read(cpu, 2.0)
    assert (values["cpu.total"], values["cpu.core{core=0}"]) == (3750, 25)
    cpu.close()


@pytest.mark.parametrize("place", range(8))
def test_any_decreased_state_has_no_share(place: int) -> None:
    """But iowait, of which the kernel may take back what it then counts as idle: the two together never go back by that."""
    before = CpuTicks(*[1000] * 9)
    after = CpuTicks(*[ticks + (-300 if at == place else 50) for at, ticks in enumerate(before)])
    assert shares(after, before) is None
    assert busy_percent(after, before) is None
    rest = CpuTicks(*before)._replace(user=1050, idle=1080, iowait=970)
    assert busy_percent(rest, before) == 50
    assert shares(rest, before) is not None
    other = before._replace(user=1050, idle=960, iowait=1090)
    found = some(shares(other, before))
    assert (found.total, found.iowait) == (5000, 5000)


@pytest.mark.parametrize("guest", [-300, 10**9])
def test_impossible_guest_time_is_null_alone(tmp_path: Path, guest: int) -> None:
    """It is inside user and nice: the shares of the whole need no guest."""
    cpu = Cpu(str(write(tmp_path, {"stat": stat([50, 0, 0, 50, 0, 0, 0, 0, 500, 0])})))
    minute = CoresAndScheduler(str(tmp_path))
    cpu.read(0.0)
    minute.read(0.0)
    write(tmp_path, {"stat": stat([100, 0, 0, 100, 0, 0, 0, 0, 500 + guest, 0], 50)})
    values = read(cpu, 1.0)
    assert (values["cpu.total"], values["cpu.user"], values["cpu.core{core=0}"]) == (5000, 5000, 50)
    assert values["cpu.guest"] is None
    values = read(minute, 1.0)
    assert (values["cpu.core_user{core=0}"], values["cpu.core_guest{core=0}"]) == (500, None)
    cpu.close()
    minute.close()


@pytest.mark.parametrize("broken", [BELOW_ZERO, -5])
def test_a_state_below_zero_blanks_nothing_for_longer_than_a_sample(tmp_path: Path, broken: int) -> None:
    cpu = Cpu(str(write(tmp_path, {"stat": stat([50, 0, 0, 50, 0, 0, 0, 0])})))
    cpu.read(0.0)
    write(tmp_path, {"stat": stat([100, 0, 0, 100, 0, 0, 0, broken], 50, blocked=BELOW_ZERO)})
    values = read(cpu, 1.0)
    assert (values["cpu.total"], values["cpu.core{core=0}"], values["cpu.core{core=1}"]) == (None, None, 50)
    assert (values["processes.running"], values["processes.blocked"]) == (1, None)
    write(tmp_path, {"stat": stat([175, 0, 0, 125, 0, 0, 0, broken], 100)})
    values = read(cpu, 2.0)
    assert (values["cpu.core{core=0}"], values["cpu.core{core=1}"], values["cpu.steal"]) == (75, 50, 0)
    cpu.close()


def test_impossible_tick_counts_are_not_load(tmp_path: Path) -> None:
    kinds: list[tuple[Made, str]] = [(Cpu, "cpu.steal"), (CoresAndScheduler, "cpu.core_steal{core=0}")]
    for made, name in kinds:
        cpu = made(str(write(tmp_path, {"stat": stat([50, 0, 0, 50, 0, 0, 0, 0])})))
        cpu.read(0.0)
        write(tmp_path, {"stat": stat([75, 0, 0, 125, 0, 0, 0, JUMP], 50)})
        assert read(cpu, 1.0)[name] is None
        write(tmp_path, {"stat": stat([100, 0, 0, 200, 0, 0, 0, JUMP], 100)})
        assert read(cpu, 2.0)[name] == 0
        cpu.close()


def disk(name: str, reads: int, under_way: int = 0) -> str:
    return f"8 0 {name} {reads} 0 {reads} {reads} 100 0 800 100 {under_way} {reads} {reads}\n"


def interface(name: str, received: int) -> str:
    return f"{name}: {received} {received} {received} {received} 0 0 0 0 {received} 1 0 0 0 0 0 0\n"


def psi(total: int) -> str:
    return f"some avg10=0.00 avg60=0.00 avg300=0.00 total={total}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"


MEMINFO = captured("machine", "meminfo").decode()
HEAD = "Inter-|\n face |\n"
Text = Callable[[int], str]
CASES: list[tuple[Made, str, Text, str, str]] = [
    (CoresAndScheduler, "stat", lambda n: f"cpu 1 1 1 1 1 1 1 1\nintr 1 1\nctxt {n}\n", "kernel.context_switches", "kernel.interrupts"),
    (Disks, "diskstats", lambda n: disk("sda", n) + disk("sdb", 7, -1), "disk.reads{device=sda}", "disk.reads{device=sdb}"),
    (Disks, "diskstats", lambda n: disk("sda", n), "disk.read_await{device=sda}", "disk.write_await{device=sda}"),
    (Disks, "diskstats", lambda n: disk("sda", n), "disk.busy{device=sda}", "disk.written{device=sda}"),
    (Disks, "diskstats", lambda n: disk("sda", n), "disk.queue{device=sda}", "disk.written{device=sda}"),
    (Networks, "net/dev", lambda n: HEAD + interface("eth0", n), "network.received{interface=eth0}", "network.packets_sent{interface=eth0}"),
    (NetworkFaults, "net/dev", lambda n: HEAD + interface("eth0", n), "network.drops_received{interface=eth0}", "network.drops_sent{interface=eth0}"),
    (Pressure, "pressure/cpu", psi, "pressure.cpu_some", ""),
    (Paging, "vmstat", lambda n: f"x 1\npswpin {n}\npswpout 7\n", "swap.in", "swap.out"),
    (MemoryDetails, "vmstat", lambda n: f"x 1\npgmajfault {n}\noom_kill 7\n", "memory.major_faults", "memory.oom_kills"),
    (Protocols, "net/snmp", lambda n: f"Tcp: ActiveOpens PassiveOpens\nTcp: {n} 7\n", "tcp.opened", "tcp.accepted"),
    (Protocols, "net/snmp6", lambda n: f"Udp6InDatagrams {n}\nUdp6OutDatagrams 7\n", "udp.received", "udp.sent"),
]  # fmt: skip


@pytest.mark.parametrize("broken", [3, BELOW_ZERO, -5])
@pytest.mark.parametrize(("made", "file", "text", "name", "other"), CASES, ids=[case[3] for case in CASES])
def test_a_broken_counter_costs_only_its_own_sample(
    tmp_path: Path, made: Made, file: str, text: Text, name: str, other: str, broken: int
) -> None:
    write(tmp_path, {"meminfo": MEMINFO})
    collector = made(str(tmp_path))
    seen: list[int | None] = []
    for second, value in enumerate((10, 1000, broken, broken, broken + 4)):
        write(tmp_path, {file: text(value)})
        values = read(collector, 60.0 * second)
        if second:
            assert not other or values[other] is not None, "another counter of the same file is unharmed"
            seen.append(values[name])
    collector.close()
    assert [value is None for value in seen] == [False, True, False, False]


def test_a_mean_of_two_counters_needs_both(tmp_path: Path) -> None:
    """Reads went back by 5, and writes on by 900: as a sum that was no step back."""
    sys = write(tmp_path / "sys", {"class/block/sda1/partition": "1\n"})
    text = "8 0 sda {0} 0 8 9 {1} 0 8 9 0 9 9\n8 1 sda1 {0} 0 8 9 {1} 0 8 9 0 9 9\n"
    volumes = Volumes(str(write(tmp_path, {"diskstats": text.format(10, 100)})), str(sys))
    volumes.read(0.0)
    write(tmp_path, {"diskstats": text.format(5, 1000)})
    assert read(volumes, 60.0)["volume.await{volume=partition sda1}"] is None
    assert mean_wait(1, 2**63) is None
    volumes.close()


def test_a_sum_with_a_decreased_counter_is_null(tmp_path: Path) -> None:
    """A new one has no difference yet, and spoils nothing."""
    sys = write(tmp_path / "sys", {"class/net/eth0/device/vendor": "x", "class/net/br0/uevent": "DEVTYPE=bridge\n"})
    text = HEAD + interface("eth0", 0) + "br0: {} 1 0 0 0 0 0 0 {} 1 0 0 0 0 0 0\n" + "br1: {} 1 0 0 0 0 0 0 {} 1 0 0 0 0 0 0\n"
    write(sys, {"class/net/br1/uevent": "DEVTYPE=bridge\n"})
    faults = NetworkFaults(str(write(tmp_path, {"net/dev": text.format(600, 600, 600, 600)})), str(sys))
    faults.read(0.0)
    write(tmp_path, {"net/dev": text.format(60, 6600, 6600, 6600)})
    values = read(faults, 60.0)
    assert (values["network.folded_received{kind=bridge}"], values["network.folded_sent{kind=bridge}"]) == (None, 200)
    faults.close()


def test_a_memory_of_sockets_below_zero_blanks_no_count_of_sockets(tmp_path: Path) -> None:
    """The kernel keeps it in parts, and their sum may be below zero for a while."""
    files = {"net/sockstat": "sockets: used 9\nTCP: inuse 5 orphan 0 tw 2 alloc 7 mem -3\nUDP: inuse 3 mem 1\n", "net/sockstat6": "TCP6: inuse 0\n"}  # fmt: skip
    sockets = Sockets(str(write(tmp_path, files)))
    assert read(sockets, 0.0) == {"udp.sockets": 3, "tcp.orphans": 0, "tcp.memory": None}
    tcp = Tcp(str(tmp_path))
    assert read(tcp, 0.0)["tcp.time_wait"] is not None
    write(tmp_path, {"net/sockstat": f"TCP: inuse {BELOW_ZERO} orphan 0 tw 2 alloc 7 mem 3\n"})
    with pytest.raises(ValueError, match="out of range"):
        tcp.read(1.0)
    tcp.close()
    sockets.close()


def process(root: Path, pid: int, ticks: int, moved: int) -> None:
    fields = f"{pid} (p{pid}) S 1 1 1 0 -1 4194560 0 0 0 0 {ticks} 0 0 0 20 0 1 0 5 1000000 9 184467"
    write(root, {f"{pid}/stat": fields, f"{pid}/status": "Uid:\t0\t0\t0\t0\n", f"{pid}/cmdline": "x", f"{pid}/io": f"read_bytes: {moved}\nwrite_bytes: 50\n"})  # fmt: skip


@pytest.mark.parametrize("broken", [3, BELOW_ZERO])
def test_a_process_whose_cpu_time_decreased_has_no_cpu_share(tmp_path: Path, broken: int) -> None:
    process(tmp_path, 1, 50, 50)
    process(tmp_path, 7, 5000, 5000)
    processes = Processes(str(tmp_path), mark_s=0.0)
    processes.read(0.0)
    process(tmp_path, 1, 150, 50)
    process(tmp_path, 7, broken, 3)
    reading = some(processes.read(10.0))
    assert {row[0]: (row[6] is None, row[8], row[9]) for row in reading.rows} == {1: (False, 0, 0), 7: (True, None, 0)}
    process(tmp_path, 7, broken + 4, 3)
    reading = some(processes.read(20.0))
    assert all(row[6] is not None for row in reading.rows)


def test_a_difference_is_of_64_bits() -> None:
    assert counters([b"0", b"18446744073709551615", b"-9223372036854775808"]) == [0, 2**64 - 1, -(2**63)]
    for wrong in (b"18446744073709551616", b"-9223372036854775809", b"x"):
        with pytest.raises(ValueError, match=r"."):
            counters([wrong])
    assert gained(7, 5) == 2
    assert gained(5, 7) is None
    assert gained(BELOW_ZERO, 5) is None
    assert per_second(BELOW_ZERO, 5, 60.0) is None
    assert per_second_fine(BELOW_ZERO, 5, 1e9, 1) is None
