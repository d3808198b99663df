"""A synthetic /proc of a very large host, in the kernel's formats; nothing in it was recorded."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

from spider.sampling.collectors.netlink import parse_messages
from tests.support.recordings import captured, write

STATES = {1: 15_000, 8: 4_000, 10: 900, 2: 100}
"""TCP sockets by the number of their state: 20,000."""


def stat(cores: int, second: int) -> str:
    """proc_stat(5)."""
    dice = random.Random(cores)  # the same each second: no counter goes back
    rows = [[second * 100 * share // 100 + dice.randrange(3) for share in (30, 1, 10, 50, 2, 0, 3, 1, 0, 0)] for _ in range(cores)]
    total = [sum(column) for column in zip(*rows, strict=True)]
    lines = [f"cpu  {' '.join(map(str, total))}"]
    lines += [f"cpu{core} {' '.join(map(str, row))}" for core, row in enumerate(rows)]
    interrupts = " ".join(["0"] * 4000)
    lines += [f"intr {second * 90_000} {interrupts}", f"ctxt {second * 300_000}", "btime 1700000000", f"processes {second * 500}"]
    lines += ["procs_running 40", "procs_blocked 3", f"softirq {second * 50_000} 0 0 0 0 0 0 0 0 0 0"]
    return "\n".join(lines) + "\n"


def diskstats(disks: int, second: int) -> str:
    """proc_diskstats(5), with two partitions each, and as many logical volumes as disks."""
    lines = []
    for number in range(disks):
        counters = f"{second * 10} 0 {second * 80} {second * 9} {second * 20} 0 {second * 160} {second * 30} 0 {second * 500} {second * 39} 0 0 0 0 0 0"
        name = f"sd{chr(97 + number // 26)}{chr(97 + number % 26)}"
        lines += [f"   8 {number} {part} {counters}" for part in (name, name + "1", name + "2")]
        lines.append(f" 253 {number} dm-{number} {counters}")
    return "\n".join(lines) + "\n"


def net_dev(interfaces: int, second: int) -> str:
    """proc_pid_net(5): cards, and the veth of a thousand containers."""
    lines = ["Inter-|   Receive |  Transmit", " face |bytes packets"]
    for number in range(interfaces):
        row = f"{second * 1000} {second * 2} 0 0 0 0 0 0 {second * 3000} {second * 4} 0 0 0 0 0 0"
        lines += [f"  eth{number}: {row}", *(f"veth{number:04x}{pod:03x}: {row}" for pod in range(60))]
    return "\n".join(lines) + "\n"


def large_host(root: Path, second: int, *, cores: int = 128, processes: int = 5000, disks: int = 48, interfaces: int = 16) -> Path:
    """Write it, as at that second since boot. Processes are written once."""
    if second == 0:
        write(
            root, {f"proc/{pid}/stat": f"{pid} (worker {pid % 7}) {'SSSSRDZ'[pid % 7]} 1 1 1 0 -1 0\n" for pid in range(1, processes + 1)}
        )
        write(root, {f"sys/class/net/eth{number}/device/vendor": "0x8086\n" for number in range(interfaces)})
        write(
            root, {f"proc/{name}": captured("recorded/machine/proc", name) for name in ("vmstat", "net/snmp", "net/netstat", "filesystems")}
        )
        write(
            root,
            {
                "proc/self/mountinfo": captured("recorded/machine/proc", "self/mountinfo"),
                "proc/sys/fs/file-nr": "900000 0 9223372036854775807\n",
            },
        )
    return write(
        root,
        {
            "proc/stat": stat(cores, second),
            "proc/diskstats": diskstats(disks, second),
            "proc/net/dev": net_dev(interfaces, second),
            "proc/meminfo": "".join(f"{name}: {value << 20} kB\n" for name, value in MEMORY.items()),
            "proc/loadavg": "120.5 99.0 80.25 40/61234 999999\n",
            "proc/net/sockstat": f"sockets: used 30000\nTCP: inuse {sum(STATES.values())} orphan 7 tw 35000 alloc 21000 mem 90000\nUDP: inuse 40 mem 8\n",
        },
    )


MEMORY = {"MemTotal": 2048, "MemFree": 100, "MemAvailable": 1500, "Buffers": 2, "Cached": 1200, "SwapTotal": 16, "SwapFree": 15, "Shmem": 8}


class ManySockets:
    """Answers as NETLINK_SOCK_DIAG does: struct inet_diag_msg with the attribute of a full socket, sock_diag(7)."""

    def dump(self, kind: int, body: bytes) -> Iterator[tuple[bytes, int, int]]:
        del kind
        wanted = struct.unpack_from("=I", body, len(body) - 8)[0]
        for state, count in STATES.items():
            if wanted & 1 << state:
                message = struct.pack("=BBBB68x", 2, state, 0, 0) + struct.pack("=HHB3x", 5, 8, 0)
                datagram = (struct.pack("=IHHII", 16 + len(message), 20, 2, 1, 0) + message) * 50
                for _ in range(count // 50):
                    for _, start, end in parse_messages(datagram):
                        yield datagram, start, end

    def close(self) -> None:
        return
