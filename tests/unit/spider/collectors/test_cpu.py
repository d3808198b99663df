"""/proc/stat."""

from __future__ import annotations

from pathlib import Path

import pytest

from spider.collectors.cpu import Cpu, CpuTicks, parse_stat, shares
from tests.unit.spider.collectors.captured import captured, write


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
    assert shares(after, before) == (5000, 5000, 0, 0, 0)


def test_shares_are_of_all_ticks() -> None:
    before = CpuTicks(0, 0, 0, 0, 0, 0, 0, 0)
    after = CpuTicks(user=10, nice=10, system=10, idle=40, iowait=10, irq=5, softirq=5, steal=10)
    assert shares(after, before) == (5000, 2000, 2000, 1000, 1000)


def test_iowait_that_goes_back_counts_as_standing_still() -> None:
    before = CpuTicks(0, 0, 0, 0, 50, 0, 0, 0)
    after = CpuTicks(50, 0, 0, 50, 40, 0, 0, 0)
    assert shares(after, before) == (5000, 5000, 0, 0, 0)


def test_no_tick_is_no_answer() -> None:
    ticks = CpuTicks(1, 2, 3, 4, 5, 6, 7, 8)
    assert shares(ticks, ticks) is None


@pytest.mark.parametrize(
    "text", [b"", b"intr 1\n", b"cpu 1 2 3\n", b"cpu a b c d e f g h\n", b"cpux 1 1 1 1 1 1 1 1\ncpu 1 1 1 1 1 1 1 1\n"]
)
def test_what_is_no_stat_file_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_stat(text)


def test_values_stand_in_the_order_of_the_series(tmp_path: Path) -> None:
    write(tmp_path, {"stat": b"cpu 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0\nintr 5\n"})
    cpu = Cpu(str(tmp_path))
    assert cpu.read(0.0) == [None] * 7
    write(tmp_path, {"stat": b"cpu 50 0 0 150 0 0 0 0\ncpu0 50 0 0 50 0 0 0 0\ncpu1 0 0 0 100 0 0 0 0\nintr 5\n"})
    assert dict(zip(cpu.series(), cpu.read(1.0), strict=True)) == {
        "cpu.total": 2500,
        "cpu.user": 2500,
        "cpu.system": 0,
        "cpu.iowait": 0,
        "cpu.steal": 0,
        "cpu.core{core=0}": 5000,
        "cpu.core{core=1}": 0,
    }
    cpu.close()


def test_a_core_that_is_switched_off_leaves_the_series_and_comes_back(tmp_path: Path) -> None:
    both = b"cpu 9 0 0 9 0 0 0 0\ncpu0 9 0 0 9 0 0 0 0\ncpu1 9 0 0 9 0 0 0 0\n"
    write(tmp_path, {"stat": both})
    cpu = Cpu(str(tmp_path))
    cpu.read(0.0)
    write(tmp_path, {"stat": both.rsplit(b"cpu1")[0]})
    cpu.read(1.0)
    assert cpu.series()[5:] == ["cpu.core{core=0}"]
    write(tmp_path, {"stat": both})
    assert cpu.read(2.0)[-1] is None
    assert cpu.series()[5:] == ["cpu.core{core=0}", "cpu.core{core=1}"]
    cpu.close()
