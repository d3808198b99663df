"""macOS through psutil. Values have the shapes of psutil's documentation; the same collectors also run with this machine's psutil."""

from __future__ import annotations

import os
import sys
from collections import namedtuple
from types import SimpleNamespace
from typing import Any, cast

import psutil as real
import pytest

from spider.clock import SystemClock
from spider.sampling.collectors.base import Collector
from spider.sampling.collectors.darwin import DarwinBreathe, DarwinPulse, Psutil, darwin_collectors, find_psutil, is_card, ticks_of
from spider.sampling.collectors.host import host_collectors
from spider.wire.metrics import parse_series
from tests.support.clock import ManualClock
from tests.support.recordings import read

Times = namedtuple("Times", "user nice system idle")
Stats = namedtuple("Stats", "ctx_switches interrupts soft_interrupts syscalls")
Memory = namedtuple("Memory", "total available percent used free active inactive wired")
Swap = namedtuple("Swap", "total used free percent sin sout")
Disk = namedtuple("Disk", "read_count write_count read_bytes write_bytes read_time write_time")
Nic = namedtuple("Nic", "bytes_sent bytes_recv packets_sent packets_recv errin errout dropin dropout")
NicState = namedtuple("NicState", "isup duplex speed mtu flags")
Part = namedtuple("Part", "device mountpoint fstype opts")


class Mac:
    """psutil on an eight-core Mac after `second` seconds."""

    def __init__(self) -> None:
        self.second = 100

    def cpu_times(self, percpu: bool = False) -> Any:
        core = Times(self.second * 0.2, 0.0, self.second * 0.05, self.second * 0.75)
        return [core] * 8 if percpu else Times(*(8 * value for value in core))

    def cpu_stats(self) -> Any:
        return Stats(self.second * 40, self.second * 900, 0, 0)

    def virtual_memory(self) -> Any:
        return Memory(17179869184, 6442450944, 62.5, 9663676416, 1073741824, 5368709120, 5368709120, 4294967296)

    def swap_memory(self) -> Any:
        return Swap(2147483648, 1073741824, 1073741824, 50.0, self.second * 16384, 0)

    def disk_io_counters(self, perdisk: bool = False) -> Any:
        assert perdisk
        return {
            "disk0": Disk(self.second * 10, self.second * 20, self.second * 40960, self.second * 81920, self.second * 5, self.second * 40)
        }

    def disk_partitions(self, all: bool = False) -> Any:  # noqa: A002 - psutil's own name
        return [
            Part("/dev/disk3s1s1", "/", "apfs", "ro,local,rootfs,dovolfs,journaled,multilabel"),
            Part("/dev/disk3s6", "/System/Volumes/VM", "apfs", "rw,noexec,local"),
            Part("/dev/disk3s5", "/nowhere/at all", "apfs", "rw,local"),
            Part("devfs", "/dev", "devfs", "rw"),
        ]

    def net_io_counters(self, pernic: bool = False) -> Any:
        assert pernic
        row = Nic(self.second * 100, self.second * 2000, self.second, self.second * 3, 0, 0, self.second, 0)
        return {"lo0": row, "en0": row, "utun3": row, "awdl0": row, "bridge100": row}

    def net_if_stats(self) -> Any:
        return {"en0": NicState(True, 2, 1000, 1500, ""), "lo0": NicState(True, 0, 0, 16384, "")}

    def boot_time(self) -> float:
        return 999_000.0

    def pids(self) -> list[int]:
        return list(range(412))


def mac() -> tuple[Mac, Psutil]:
    made = Mac()
    return made, cast("Psutil", made)


def test_a_mac_has_a_pulse() -> None:
    host, psutil = mac()
    pulse = DarwinPulse(psutil, load=lambda: (1.5, 1.25, 1.0))
    first = read(pulse, 10.0)
    assert first["cpu.total"] is None
    assert first["swap.in"] is None
    host.second += 2
    found = read(pulse, 12.0)
    expected = {
        "load.1": 150,
        "cpu.total": 2500,
        "cpu.user": 2000,
        "cpu.system": 500,
        "cpu.core{core=7}": 25,
        "memory.total": 17179869184,
        "memory.used": 17179869184 - 6442450944,
        "swap.used": 1073741824,
        "swap.in": 16384,
        "swap.out": 0,
        "disk.read{device=disk0}": 40960,
        "disk.writes{device=disk0}": 20,
        "disk.read_await{device=disk0}": 50,
        "disk.write_await{device=disk0}": 200,
        "network.received{interface=en0}": 2000,
        "network.packets_sent{interface=en0}": 1,
    }
    assert expected.items() <= found.items()
    assert not {"cpu.steal", "cpu.iowait", "memory.cached", "disk.busy{device=disk0}", "network.received{interface=lo0}"} & set(found)
    hold(pulse, found)


def test_a_mac_breathes() -> None:
    host, psutil = mac()
    breathe = DarwinBreathe(psutil, ManualClock(1_000_000.0))
    breathe.read(0.0)
    host.second += 60
    found = read(breathe, 60.0)
    stat = os.statvfs("/")
    assert found["filesystem.size{mount=/}"] == stat.f_blocks * stat.f_frsize
    assert found["filesystem.readonly{mount=/}"] == 1
    assert found["filesystem.used{mount=/nowhere/at all}"] is None, "it is mounted and does not answer"
    assert not [name for name in found if "/System/Volumes" in name or "/dev}" in name]
    assert found["network.drops_received{interface=en0}"] == 1000
    assert found["network.up{interface=en0}"] == 1
    assert found["kernel.context_switches"] == 40
    assert (found["system.uptime"], found["processes.total"]) == (1000, 412)
    hold(breathe, found)


def test_excluded_rows_do_not_count_towards_the_limit() -> None:
    host, psutil = mac()
    cards, [root, *_] = host.net_io_counters(pernic=True), host.disk_partitions()
    bridges = {f"bridge{number}": cards["en0"] for number in range(300)}
    volumes = [Part(f"/dev/disk9s{number}", f"/System/Volumes/{number}", "apfs", "rw") for number in range(200)]
    host.net_io_counters = lambda pernic=False: {**bridges, **cards}  # type: ignore[method-assign]
    host.disk_partitions = lambda all=False: [*volumes, root]  # type: ignore[method-assign]  # noqa: A006 - psutil's own name
    assert "network.received{interface=en0}" in read(DarwinPulse(psutil, load=lambda: (0, 0, 0)), 0.0)
    assert {"network.up{interface=en0}", "filesystem.size{mount=/}"} <= set(read(DarwinBreathe(psutil, ManualClock(1_000_000.0)), 0.0))


def hold(collector: Collector, found: dict[str, int | None]) -> None:
    for name in found:
        assert parse_series(name)[0].family == collector.family


def test_the_same_readers_say_of_this_machine_what_linuxs_own_say() -> None:
    kept = {"Load", "MemoryAndSwap", "Paging", "Disks", "Networks", "NetworkFaults", "LinkSpeeds", "System", "ProcessStates", "Cpu"}
    kept |= {"CoresAndScheduler", "MemoryDetails"}
    theirs = [DarwinPulse(cast("Psutil", real)), DarwinBreathe(cast("Psutil", real), SystemClock())]
    ours = [collector for collector in host_collectors(SystemClock(), platform="linux") if type(collector).__name__ in kept]
    of_psutil: dict[str, int | None] = {}
    of_linux: dict[str, int | None] = {}
    for found, collectors in ((of_psutil, theirs), (of_linux, ours)):
        for collector in collectors:
            collector.read(1.0)
            values = read(collector, 2.0)
            hold(collector, values)
            found.update(values)
            collector.close()
    assert {name for name in of_psutil if "{" not in name} <= set(of_linux)
    for name in ("memory.total", "swap.total"):
        assert of_psutil[name] == of_linux[name] is not None
    assert sum(of_psutil[name] or 0 for name in ("memory.used", "memory.available")) == of_psutil["memory.total"]
    assert abs((of_psutil["system.uptime"] or 0) - (of_linux["system.uptime"] or 0)) < 600
    assert (of_psutil["load.15"] or 0) > 0
    of_disks = {name for name in of_linux if name.startswith(("disk.read{", "disk.writes{"))}
    assert of_disks <= set(of_psutil)


def test_a_new_disk_has_no_rate_yet() -> None:
    host, psutil = mac()
    pulse = DarwinPulse(psutil, load=lambda: (0, 0, 0))
    host.disk_io_counters = lambda perdisk=False: None  # type: ignore[method-assign]  # psutil says so where there is none
    assert not [name for name in read(pulse, 0.0) if name.startswith("disk.")]
    del host.disk_io_counters
    found = read(pulse, 1.0)
    assert found["disk.read{device=disk0}"] is None
    assert found["disk.read_await{device=disk0}"] == 0


@pytest.mark.parametrize(
    ("name", "card"), [("en0", True), ("en12", True), ("lo0", False), ("utun3", False), ("bridge100", False), ("awdl0", False)]
)
def test_network_cards_are_recognised_by_name(name: str, card: bool) -> None:
    assert is_card(name) is card


def test_times_become_ticks() -> None:
    assert ticks_of(SimpleNamespace(user=1.25, nice=0.0, system=0.5, idle=10.0))[:4] == (125, 0, 50, 1000)


def test_a_mac_without_psutil_reports_its_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)  # Python's own way of saying that there is none
    assert find_psutil() is None
    found: dict[str, int | None] = {}
    for collector in darwin_collectors(ManualClock()):
        found.update(read(collector, 0.0))
    assert set(found) - {"clock.synchronised"} == {"load.1", "load.5", "load.15"}


def test_each_system_has_its_own_readers() -> None:
    kinds = {platform: {type(c).__name__ for c in host_collectors(SystemClock(), platform=platform)} for platform in ("linux", "darwin")}
    assert "DarwinPulse" in kinds["darwin"]
    assert {"Cpu", "Pressure"} <= kinds["linux"]
    assert kinds["linux"] & kinds["darwin"] == {"Clocks"}
