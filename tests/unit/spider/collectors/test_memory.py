"""/proc/meminfo."""

from __future__ import annotations

from pathlib import Path

import pytest

from spider.collectors.memory import Memory, MemoryAndSwap, parse_meminfo
from tests.unit.spider.collectors.captured import captured, write

KIB = 1024


def test_the_machine_is_read_by_value() -> None:
    lines = dict(line.split(":") for line in captured("machine", "meminfo").decode().splitlines())
    kib = {name: int(value.split()[0]) for name, value in lines.items()}
    memory = parse_meminfo(captured("machine", "meminfo"))
    assert memory == Memory(
        total=24684092 * KIB,
        used=(24684092 - 24084272) * KIB,
        available=24084272 * KIB,
        cached=(kib["Cached"] + kib["SReclaimable"]) * KIB,
        buffers=kib["Buffers"] * KIB,
        swap_total=0,
        swap_used=0,
    )


def test_a_host_behind_lxcfs_has_its_own_limit() -> None:
    memory = parse_meminfo(captured("lxcfs", "meminfo"))
    assert (memory.total, memory.available, memory.used) == (524288 * KIB, 513172 * KIB, 11116 * KIB)


OLD = b"MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 300 kB\nSReclaimable: 40 kB\nShmem: 90 kB\nSwapTotal: 500 kB\nSwapFree: 200 kB\n"


def test_an_old_kernel_without_memavailable_is_estimated() -> None:
    memory = parse_meminfo(OLD)
    assert memory.available == (100 + 50 + 300 + 40 - 90) * KIB
    assert memory.used == 600 * KIB
    assert memory.swap_used == 300 * KIB


def test_more_available_than_there_is_cannot_be() -> None:
    memory = parse_meminfo(OLD + b"MemAvailable: 5000 kB\n")
    assert (memory.available, memory.used) == (100 * KIB, 900 * KIB)


@pytest.mark.parametrize("missing", [b"MemTotal", b"MemFree", b"Buffers", b"Cached", b"SwapTotal", b"SwapFree"])
def test_a_missing_line_is_named(missing: bytes) -> None:
    text = b"".join(line for line in OLD.splitlines(keepends=True) if not line.startswith(missing))
    with pytest.raises(ValueError, match=missing.decode()):
        parse_meminfo(text)


def test_values_stand_in_the_order_of_the_series(tmp_path: Path) -> None:
    memory = MemoryAndSwap(str(write(tmp_path, {"meminfo": OLD})))
    values = memory.read(0.0)
    assert dict(zip(memory.series(), values, strict=True)) == {
        "memory.total": 1000 * KIB,
        "memory.used": 600 * KIB,
        "memory.available": 400 * KIB,
        "memory.cached": 340 * KIB,
        "memory.buffers": 50 * KIB,
        "swap.total": 500 * KIB,
        "swap.used": 300 * KIB,
    }
    memory.close()
