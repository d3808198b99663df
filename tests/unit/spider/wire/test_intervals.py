"""The interval of every metric and table, as one list that the catalogues must agree with."""

from __future__ import annotations

import pytest

from spider.reports.host_reports import UPDATES_S
from spider.reports.package_sync import LOOK_S
from spider.wire.metrics import INTERVAL_S, METRICS
from spider.wire.tables import BY_NAME, RESEND_S

EACH_SECOND = """
cpu.total cpu.user cpu.nice cpu.system cpu.iowait cpu.irq cpu.softirq cpu.steal cpu.guest cpu.core load.1 load.5 load.15
pressure.cpu_some pressure.memory_some pressure.memory_full pressure.io_some pressure.io_full
memory.total memory.available memory.used memory.cached memory.buffers memory.zfs_arc swap.total swap.used swap.in swap.out
disk.read disk.written disk.reads disk.writes disk.busy disk.read_await disk.write_await disk.queue
network.received network.sent network.packets_received network.packets_sent
tcp.established tcp.listen tcp.time_wait tcp.close_wait tcp.syn_sent tcp.syn_recv
"""
EACH_MINUTE = """
cpu.core_user cpu.core_nice cpu.core_system cpu.core_iowait cpu.core_irq cpu.core_softirq cpu.core_steal cpu.core_guest cpu.frequency cpu.throttles
memory.dirty memory.shared memory.hugepages_total memory.hugepages_used memory.oom_kills
volume.read volume.written volume.busy volume.await
filesystem.size filesystem.used filesystem.inodes_used filesystem.readonly
network.errors_received network.errors_sent network.drops_received network.drops_sent network.up network.folded_received network.folded_sent
tcp.retransmits udp.sockets udp.received udp.sent conntrack.used conntrack.limit
temperature fan power battery.charge gpu.busy gpu.memory_used gpu.temperature md.missing zfs.healthy btrfs.missing btrfs.errors
service.cpu service.memory service.read service.written container.cpu container.memory container.read container.written
users.logged_in system.uptime clock.skew files.open files.limit system.entropy
processes.total processes.sleeping processes.uninterruptible processes.stopped processes.zombie
"""
EACH_FIVE_MINUTES = "network.speed smart.reallocated smart.pending smart.uncorrectable disk.life_used units.failed"


@pytest.mark.parametrize(("names", "seconds"), [(EACH_SECOND, 1), (EACH_MINUTE, 60), (EACH_FIVE_MINUTES, 300)])
def test_every_metric_has_its_interval(names: str, seconds: int) -> None:
    assert {name: INTERVAL_S[METRICS[name].family] for name in names.split()} == dict.fromkeys(names.split(), seconds)


def test_every_table_has_its_interval() -> None:
    found = {name: subject.interval_s for name, subject in BY_NAME.items()}
    assert found == {
        "processes": 5,
        **dict.fromkeys(
            ("users", "interfaces", "arrays", "containers", "batteries", "updates", "held", "package_faults", "repositories"), 60
        ),
        "services": 30,
        **dict.fromkeys(("units", "timers", "listening", "disks", "boots"), 300),
    }
    assert {name: subject.rests_s for name, subject in BY_NAME.items() if subject.rests_s} == {"processes": 60, "units": 3600}
    assert BY_NAME["processes"].watched_s == 5
    assert BY_NAME["processes"].max_rows == 60


def test_intervals_of_the_inventory_and_of_updates_are_fixed() -> None:
    assert (LOOK_S, UPDATES_S, RESEND_S) == (60, 3600, 3600)
