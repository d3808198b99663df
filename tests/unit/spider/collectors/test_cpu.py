"""/proc/stat."""

from __future__ import annotations

from pathlib import Path

import pytest

from spider.sampling.collectors.cpu import (
    Activity,
    CoresAndScheduler,
    Cpu,
    CpuShares,
    CpuTicks,
    busy_percent,
    parse_activity,
    parse_stat,
    shares,
)
from tests.support.recordings import captured, read, write
from tests.support.some import some


def test_the_machine_is_read_by_value() -> None:
    total, cores = parse_stat(captured("machine", "stat"))
    assert total == CpuTicks(user=243685, nice=43725, system=156516, idle=693840, iowait=7541, irq=0, softirq=8831, steal=534)
    assert list(cores) == [0, 1]
    assert cores[1] == CpuTicks(118158, 22705, 85895, 337700, 5569, 0, 6825, 291)


def test_a_host_behind_lxcfs_is_read_by_value() -> None:
    total, cores = parse_stat(captured("lxcfs", "stat"))
    assert total == CpuTicks(15, 0, 15, 1155073, 0, 0, 0, 0)
    assert cores[0] == CpuTicks(8, 0, 8, 577728, 0, 0, 0, 0)


def test_guest_time_is_not_counted_twice() -> None:
    """A hypervisor whose guests took all of 100 ticks: user holds them already."""
    before = parse_stat(b"cpu 0 0 0 0 0 0 0 0 0 0\n")[0]
    after = parse_stat(b"cpu 100 0 0 100 0 0 0 0 100 0\n")[0]
    assert shares(after, before) == CpuShares(5000, 5000, 0, 0, 0, 0, 0, 0, guest=5000)


def test_shares_are_of_all_ticks() -> None:
    before = CpuTicks(0, 0, 0, 0, 0, 0, 0, 0)
    after = CpuTicks(user=10, nice=10, system=10, idle=40, iowait=10, irq=5, softirq=5, steal=10)
    assert shares(after, before) == CpuShares(5000, 2000, 2000, 1000, 1000, nice=1000, irq=500, softirq=500, guest=0)


def test_shares_are_as_fine_as_their_ticks() -> None:
    """One tick more or less than 200 is no change."""
    zero = CpuTicks(0, 0, 0, 0, 0, 0, 0, 0)
    found = [shares(CpuTicks(user=20, nice=0, system=0, idle=idle, iowait=0, irq=0, softirq=0, steal=0), zero) for idle in (179, 180, 181)]
    assert [each.total for each in found if each] == [1000, 1000, 1000]
    many = some(shares(CpuTicks(user=123, nice=0, system=0, idle=877, iowait=0, irq=0, softirq=0, steal=0), zero))
    assert many.total == 1230


def test_iowait_that_goes_back_was_idle_time() -> None:
    before = CpuTicks(0, 0, 0, 0, 50, 0, 0, 0)
    after = CpuTicks(50, 0, 0, 60, 40, 0, 0, 0)
    assert shares(after, before) == CpuShares(5000, 5000, 0, 0, 0, 0, 0, 0, 0)


def test_no_elapsed_tick_gives_null() -> None:
    ticks = CpuTicks(1, 2, 3, 4, 5, 6, 7, 8)
    assert shares(ticks, ticks) is None


@pytest.mark.parametrize(
    "text", [b"", b"intr 1\n", b"cpu 1 2 3\n", b"cpu a b c d e f g h\n", b"cpux 1 1 1 1 1 1 1 1\ncpu 1 1 1 1 1 1 1 1\n"]
)
def test_malformed_stat_file_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_stat(text)


STATES = ("total", "user", "system", "iowait", "steal", "nice", "irq", "softirq", "guest")


def test_the_rest_of_the_file_is_read_by_value() -> None:
    stat = captured("machine", "stat")
    lines = {line.split()[0]: line.split()[1] for line in stat.decode().splitlines()}
    assert parse_activity(stat) == Activity(
        switches=int(lines["ctxt"]),
        interrupts=int(lines["intr"]),
        forks=int(lines["processes"]),
        running=int(lines["procs_running"]),
        blocked=int(lines["procs_blocked"]),
    )
    assert parse_activity(b"cpu 1 1 1 1 1 1 1 1\n") == Activity(None, None, None, None, None)
    with pytest.raises(ValueError, match=r"."):
        parse_activity(b"cpu 1\nctxt many\n")


def test_a_core_is_busy_in_whole_percent() -> None:
    before = CpuTicks(0, 0, 0, 0, 50, 0, 0, 0)
    assert busy_percent(CpuTicks(10, 5, 5, 60, 70, 3, 3, 4), before) == round(100 * 30 / 110)
    assert busy_percent(CpuTicks(50, 0, 0, 60, 40, 0, 0, 0), before) == 50, "iowait may go back"
    assert busy_percent(before, before) is None
    assert busy_percent(CpuTicks(0, 0, 0, 9, 9, 0, 0, 0), CpuTicks(9, 0, 0, 0, 0, 0, 0, 0)) is None, "time went back"


def test_values_are_in_the_order_of_the_series(tmp_path: Path) -> None:
    rest = "intr {} 1 2 3\nctxt {}\nbtime 5\nprocesses {}\nprocs_running 3\nprocs_blocked 1\n"
    write(tmp_path, {"stat": b"cpu 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0\n" + rest.format(5, 10, 7).encode()})
    cpu = Cpu(str(tmp_path))
    assert cpu.read(0.0) == [None] * 11 + [3, 1]
    now = b"cpu 50 0 0 150 0 0 0 0\ncpu0 50 0 0 50 0 0 0 0\ncpu1 0 0 0 100 0 0 0 0\n"
    write(tmp_path, {"stat": now + rest.format(105, 210, 27).encode()})
    assert read(cpu, 2.0) == {
        "cpu.total": 2500,
        "cpu.user": 2500,
        **{f"cpu.{part}": 0 for part in STATES[2:]},
        "cpu.core{core=0}": 50,
        "cpu.core{core=1}": 0,
        "processes.running": 3,
        "processes.blocked": 1,
    }
    write(tmp_path, {"stat": now})  # what stands in for the kernel's file may lack the rest
    assert cpu.read(3.0)[:9] == [None] * 9, "no tick has passed"
    assert cpu.series()[-1] == "cpu.core{core=1}"
    cpu.close()


def test_an_offline_core_leaves_the_series_and_returns(tmp_path: Path) -> None:
    both = b"cpu 9 0 0 9 0 0 0 0\ncpu0 9 0 0 9 0 0 0 0\ncpu1 9 0 0 9 0 0 0 0\n"
    write(tmp_path, {"stat": both})
    cpu = Cpu(str(tmp_path))
    cpu.read(0.0)
    write(tmp_path, {"stat": both.rsplit(b"cpu1")[0]})
    cpu.read(1.0)
    assert cpu.series()[9:] == ["cpu.core{core=0}"]
    write(tmp_path, {"stat": both})
    assert cpu.read(2.0)[-1] is None
    assert cpu.series()[9:] == ["cpu.core{core=0}", "cpu.core{core=1}"]
    cpu.close()


def test_the_states_of_each_core_are_measured_each_minute(tmp_path: Path) -> None:
    rest = "intr {} 1 2 3\nctxt {}\nbtime 5\nprocesses {}\n"
    write(tmp_path, {"stat": b"cpu 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0\n" + rest.format(5, 10, 7).encode()})
    cores = CoresAndScheduler(str(tmp_path))
    assert cores.read(0.0) == []
    write(
        tmp_path,
        {"stat": b"cpu 0 0 0 0 0 0 0 0\ncpu0 100 100 100 400 100 0 150 50\ncpu1 1 0 0 0 0 0 0 0\n" + rest.format(605, 1210, 5).encode()},
    )
    assert read(cores, 60.0) == {
        "cpu.core_user{core=0}": 200,
        "cpu.core_nice{core=0}": 100,
        "cpu.core_irq{core=0}": 0,
        "cpu.core_guest{core=0}": 0,
        "cpu.core_system{core=0}": 250,
        "cpu.core_softirq{core=0}": 150,
        "cpu.core_iowait{core=0}": 100,
        "cpu.core_steal{core=0}": 50,
        "kernel.context_switches": 20,
        "kernel.interrupts": 10,
        "kernel.forks": None,
    }
    assert cores.read(120.0) == [None] * 16 + [0] * 3
    cores.close()
