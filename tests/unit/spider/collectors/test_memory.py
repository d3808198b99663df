"""/proc/meminfo."""

from __future__ import annotations

from pathlib import Path

import pytest

from spider.sampling.collectors.memory import (
    Memory,
    MemoryAndSwap,
    MemoryDetails,
    Paging,
    parse_arcstats,
    parse_details,
    parse_meminfo,
    parse_vmstat,
    read_huge_pages,
)
from tests.support.recordings import captured, read, write

KIB = 1024
MACHINE = "recorded/machine/proc"


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


def test_available_memory_is_capped_at_the_total() -> None:
    memory = parse_meminfo(OLD + b"MemAvailable: 5000 kB\n")
    assert (memory.available, memory.used) == (100 * KIB, 900 * KIB)


@pytest.mark.parametrize("missing", [b"MemTotal", b"MemFree", b"Buffers", b"Cached", b"SwapTotal", b"SwapFree"])
def test_a_missing_line_is_named(missing: bytes) -> None:
    text = b"".join(line for line in OLD.splitlines(keepends=True) if not line.startswith(missing))
    with pytest.raises(ValueError, match=missing.decode()):
        parse_meminfo(text)


def test_fast_memory_values_are_rounded_to_64_kib(tmp_path: Path) -> None:
    memory = MemoryAndSwap(str(write(tmp_path, {"meminfo": OLD})))
    assert read(memory, 0.0) == {
        "memory.total": 1000 * KIB,
        "memory.used": (1000 - 6 * 64) * KIB,
        "memory.available": 6 * 64 * KIB,
        "memory.cached": 5 * 64 * KIB,
        "memory.buffers": 0,
        "swap.total": 500 * KIB,
        "swap.used": 300 * KIB,
    }
    memory.close()


def arcstats(size: int, least: int) -> str:
    """As OpenZFS writes it (module/zfs/arc.c, lib/libspl/kstat): a header, titles, then name, type and value. No machine at hand has one."""
    return f"13 1 0x01 147 39984 5 9\nname                            type data\nhits                            4    12\nc_min                           4    {least}\nsize                            4    {size}\n"


def test_the_zfs_cache_is_not_used_memory(tmp_path: Path) -> None:
    """What it holds above its least size would be given back."""
    now = OLD + b"MemAvailable: 200 kB\n"
    memory = MemoryAndSwap(str(write(tmp_path, {"meminfo": now, "spl/kstat/zfs/arcstats": arcstats(500 * KIB, 100 * KIB)})))
    found = read(memory, 0.0)
    assert (found["memory.available"], found["memory.used"]) == (9 * 64 * KIB, (1000 - 9 * 64) * KIB)
    assert found["memory.zfs_arc"] == 7 * 64 * KIB
    memory.close()
    (tmp_path / "spl/kstat/zfs/arcstats").unlink()
    with pytest.raises(FileNotFoundError):
        memory.read(1.0)


@pytest.mark.parametrize("text", [b"", b"name type data\nsize 4 5\n", b"size 4 x\nc_min 4 5\n", b"size 4 -5\nc_min 4 5\n"])
def test_malformed_arcstats_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_arcstats(text)


def test_the_details_of_the_machine_are_read_by_value() -> None:
    lines = dict(line.split(":") for line in captured(MACHINE, "meminfo").decode().splitlines())
    value = {name: int(text.split()[0]) for name, text in lines.items()}
    assert parse_details(captured(MACHINE, "meminfo")) == {
        "memory.free": value["MemFree"] * KIB,
        "memory.anonymous": value["AnonPages"] * KIB,
        "memory.shared": value["Shmem"] * KIB,
        "memory.dirty": value["Dirty"] * KIB,
        "memory.writeback": value["Writeback"] * KIB,
        "memory.slab": value["Slab"] * KIB,
        "memory.slab_unreclaimable": value["SUnreclaim"] * KIB,
        "memory.page_tables": value["PageTables"] * KIB,
        "memory.committed": value["Committed_AS"] * KIB,
        "memory.hugepages_total": 0,
        "memory.hugepages_used": 0,
    }


def test_promised_huge_pages_are_used() -> None:
    """hugetlbpage.rst: HugePages_Rsvd are free ones that are promised already."""
    text = b"HugePages_Total:      10\nHugePages_Free:        6\nHugePages_Rsvd:        1\nHugepagesize:       2048 kB\n"
    assert parse_details(text) == {"memory.hugepages_total": 10 * 2048 * KIB, "memory.hugepages_used": 5 * 2048 * KIB}


def test_huge_pages_of_every_size_are_reported(tmp_path: Path) -> None:
    """As hugetlbpage.rst has its files: /proc/meminfo would say 0 here, of the default size."""
    files = {"hugepages-2048kB": (0, 0, 0), "hugepages-1048576kB": (4, 3, 1), "hugepages-junk": (1, 1, 1)}
    tree = {
        f"sys/kernel/mm/hugepages/{size}/{name}_hugepages": f"{count}\n"
        for size, counts in files.items()
        for name, count in zip(("nr", "free", "resv"), counts, strict=True)
    }
    meminfo = OLD + b"HugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n"
    root = write(tmp_path, {**tree, "proc/meminfo": meminfo})
    found = read(MemoryDetails(str(root / "proc"), str(root / "sys")), 0.0)
    assert (found["memory.hugepages_total"], found["memory.hugepages_used"]) == (4 << 30, 2 << 30)
    found = read(MemoryDetails(str(root / "proc"), str(root / "none")), 0.0)
    assert found["memory.hugepages_total"] == 0


def test_huge_pages_are_those_that_the_kernel_counts() -> None:
    told = [line.split() for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("Hugetlb:")]
    if not told or not Path("/sys/kernel/mm/hugepages").is_dir():
        pytest.skip("this kernel has no huge pages, or is older than 4.16")
    assert read_huge_pages()["memory.hugepages_total"] == int(told[0][1]) * KIB


def test_kills_are_counted_where_the_kernel_counts_them(tmp_path: Path) -> None:
    details = MemoryDetails(str(write(tmp_path, {"meminfo": OLD, "vmstat": "nr_free_pages 5\npgmajfault 60\noom_kill 3\n"})))
    first = read(details, 0.0)
    assert first["memory.oom_kills"] == 3
    assert "memory.major_faults" not in first
    write(tmp_path, {"vmstat": "nr_free_pages 5\npgmajfault 180\noom_kill 4\n"})
    assert read(details, 60.0)["memory.major_faults"] == 2
    details.close()
    older = MemoryDetails(str(write(tmp_path / "older", {"meminfo": OLD, "vmstat": "nr_free_pages 5\n"})))
    assert "memory.oom_kills" not in read(older, 0.0)
    older.close()


def test_paging_of_the_machine_is_found() -> None:
    lines = dict(line.split() for line in captured(MACHINE, "vmstat").decode().splitlines())
    wanted = ("pswpin", "pswpout", "pgmajfault", "oom_kill")
    assert parse_vmstat(captured(MACHINE, "vmstat")) == {name.encode(): int(lines[name]) for name in wanted}
    with pytest.raises(ValueError, match=r"."):
        parse_vmstat(b"nr_free_pages 5\npswpin many\n")


def test_swap_is_counted_in_bytes(tmp_path: Path) -> None:
    text = "nr_free_pages 5\npswpin {}\npswpout {}\npgmajfault {}\n"
    paging = Paging(str(write(tmp_path, {"vmstat": text.format(10, 10, 10)})), 16384)
    assert paging.read(0.0) == [None] * 2
    write(tmp_path, {"vmstat": text.format(12, 10, 30)})
    assert read(paging, 2.0) == {"swap.in": 16384, "swap.out": 0}
    write(tmp_path, {"vmstat": text.format(1, 10, 30)})
    assert paging.read(3.0) == [None, 0]
    paging.close()
    assert Paging(str(tmp_path / "none")).read(0.0) == []
