"""128 cores, 5,000 processes, 20,000 sockets, 48 disks, 1,000 interfaces: every table is bounded and fits its frame."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from spider.sampling.collectors.base import MAX_LABELLED
from spider.sampling.collectors.linux import linux_collectors
from spider.sampling.collectors.netlink import Netlink
from spider.sampling.collectors.tcp import Tcp
from spider.sampling.sampler import layout_of
from spider.wire.codec import pack_row
from spider.wire.frames import MAX_FRAME_BYTES, MAX_ITEMS
from spider.wire.sample_messages import Row
from tests.support.large_proc import STATES, ManySockets, large_host
from tests.support.recordings import read

MEASURED = {
    "Cpu",
    "CoresAndScheduler",
    "MemoryAndSwap",
    "Disks",
    "Volumes",
    "Networks",
    "NetworkFaults",
    "ProcessStates",
    "Load",
    "Protocols",
    "Sockets",
    "System",
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return large_host(tmp_path_factory.mktemp("large"), 0)


def test_a_very_large_host_is_measured_whole(host: Path) -> None:
    collectors = [c for c in linux_collectors(str(host / "proc"), str(host / "sys")) if type(c).__name__ in MEASURED]
    assert len(collectors) == len(MEASURED)
    large_host(host, 100)
    for collector in collectors:
        collector.read(0.0)
    large_host(host, 160)
    found: dict[str, dict[str, int | None]] = {}
    for collector in collectors:
        found.setdefault(collector.family, {}).update(read(collector, 60.0))
        collector.close()
    pulse, breathe = found["pulse"], found["breathe"]
    assert sum(name.startswith("cpu.core{") for name in pulse) == 128
    assert sum(name.startswith("cpu.core_") for name in breathe) == 128 * 8
    assert breathe["kernel.context_switches"] == 300_000
    assert pulse["cpu.total"] == pytest.approx(4640, abs=50)
    assert sum(name.startswith("disk.read{") for name in pulse) == 48
    assert pulse["disk.read{device=sdaa}"] == 80 * 512
    assert sum(name.startswith("network.received{") for name in pulse) == 16
    assert breathe["network.folded_interfaces{kind=veth}"] == 960
    assert breathe["network.folded_received{kind=veth}"] == 960_000
    assert sum(name.startswith("volume.read{") for name in breathe) == 64, "volumes have an end"
    assert breathe["processes.total"] == 5000
    assert breathe["processes.zombie"] == 714
    assert breathe["processes.threads"] == 61234
    assert breathe["files.limit"] == 2**63 - 1
    for family, values in found.items():
        assert len(values) <= MAX_ITEMS
        layout = layout_of(family, 1, list(values))
        assert sum(len(name) + 5 for name in layout.series) < MAX_FRAME_BYTES // 2
        assert len(pack_row(Row(1, list(values.values())))) < MAX_FRAME_BYTES // 4


def test_twenty_thousand_sockets_are_counted_and_not_each_second(host: Path) -> None:
    seconds = iter([0.0, 0.03])  # the processor time of one scan
    tcp = Tcp(str(host / "proc"), netlink=cast("Netlink", ManySockets()), cpu_time=lambda: next(seconds))
    for now in range(50):  # a scan of 30 ms is not repeated within the minute
        values = read(tcp, float(now))
        assert values["tcp.established"] == STATES[1]
        assert values["tcp.close_wait"] == STATES[8]
        assert values["tcp.listen"] == STATES[10]
        assert values["tcp.time_wait"] == 35_000
    tcp.close()


def test_devices_above_the_limit_are_left_out(tmp_path: Path) -> None:
    host = large_host(tmp_path, 0, cores=1, processes=1, disks=300, interfaces=1)
    disks = next(c for c in linux_collectors(str(host / "proc"), str(host / "sys")) if type(c).__name__ == "Disks")
    large_host(host, 10, cores=1, disks=300, interfaces=1)
    disks.read(0.0)
    assert len(disks.read(1.0)) == MAX_LABELLED * 8
    disks.close()
