"""The readers compared with tools of this machine: a tool's value lies between two readings taken around it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psutil
import pytest

from spider.sampling.collectors.base import Collector
from spider.sampling.collectors.blocks import DiskDetails
from spider.sampling.collectors.cpu import parse_activity
from spider.sampling.collectors.filesystems import Filesystems
from spider.sampling.collectors.memory import parse_details, parse_meminfo, parse_vmstat
from spider.sampling.collectors.network import NetworkFaults, parse_net_dev
from spider.sampling.collectors.process_states import ProcessStates
from spider.sampling.collectors.protocols import Sockets, parse_snmp
from spider.sampling.collectors.system import System
from spider.sampling.collectors.tcp import Tcp
from tests.support.moving_machine import compared_at_rest
from tests.support.recordings import read

T = TypeVar("T")
TRIES = 20


def tool(*argv: str) -> str:
    """What a program prints; the test is left out where there is none."""
    path = shutil.which(argv[0], path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"this machine has no {argv[0]}")
    return subprocess.run(
        [path, *argv[1:]], check=True, capture_output=True, text=True, timeout=20, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
    ).stdout


def file(path: str) -> bytes:
    with open(path, "rb") as opened:
        return opened.read()


def around(ours: Callable[[], dict[str, int]], theirs: Callable[[], dict[str, int]]) -> None:
    """Counters only rise, so each of theirs lies between ours before and ours after."""
    before, told, after = ours(), theirs(), ours()
    assert told
    for name, value in told.items():
        assert before[name] <= value <= after[name], name


def agree(ours: Callable[[], T], theirs: Callable[[], T]) -> None:
    """Levels come and go: they must agree in one of some tries, as long as the machine is not still."""
    for _ in range(TRIES):
        before, told, after = ours(), theirs(), ours()
        if told in (before, after):
            return
    assert told == after


def near(ours: dict[str, int | None], theirs: dict[str, int], room: float) -> None:
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value, abs=room), name


def one(collector: Collector) -> dict[str, int | None]:
    return read(collector, 0.0)


def of_vmstat() -> dict[str, int]:
    """`vmstat -s`: a number and its name a line."""
    return {name: int(value) for value, name in re.findall(r"^\s*(\d+) (.+)$", tool("vmstat", "-s"), re.MULTILINE)}


@compared_at_rest
def test_scheduler_and_paging_counters_are_those_of_vmstat() -> None:
    def ours() -> dict[str, int]:
        did, paged = parse_activity(file("/proc/stat")), parse_vmstat(file("/proc/vmstat"))
        named = {"interrupts": did.interrupts, "CPU context switches": did.switches, "forks": did.forks}
        return {name: value or 0 for name, value in named.items()} | {
            "pages swapped in": paged[b"pswpin"],
            "pages swapped out": paged[b"pswpout"],
        }

    around(
        ours,
        lambda: {
            name: of_vmstat()[name] for name in ("interrupts", "CPU context switches", "forks", "pages swapped in", "pages swapped out")
        },
    )


@compared_at_rest
def test_scheduler_counters_are_those_of_psutil() -> None:
    def ours() -> dict[str, int]:
        did = parse_activity(file("/proc/stat"))
        return {"ctx_switches": did.switches or 0, "interrupts": did.interrupts or 0}

    def theirs() -> dict[str, int]:
        stats = psutil.cpu_stats()
        return {"ctx_switches": stats.ctx_switches, "interrupts": stats.interrupts}

    around(ours, theirs)


@compared_at_rest
def test_memory_is_that_of_free() -> None:
    memory, details = parse_meminfo(file("/proc/meminfo")), parse_details(file("/proc/meminfo"))
    titles, *rows = (line.split() for line in tool("free", "-b").splitlines())
    told = dict(zip(titles, map(int, rows[0][1:]), strict=True))
    assert memory.total == told["total"]
    assert memory.available == pytest.approx(told["available"], abs=256 << 20)
    assert details["memory.free"] == pytest.approx(told["free"], abs=256 << 20)
    assert details["memory.shared"] == pytest.approx(told["shared"], abs=64 << 20)
    assert memory.cached + memory.buffers == pytest.approx(told["buff/cache"], abs=256 << 20)


@compared_at_rest
def test_file_systems_are_those_of_df() -> None:
    ours = one(Filesystems())
    points = [name[len("filesystem.size{mount=") : -1] for name in ours if name.startswith("filesystem.size")]
    assert "/" in points
    for point in points:
        size, used, free = map(int, tool("df", "-B1", "--output=size,used,avail", point).splitlines()[1].split())
        assert ours[f"filesystem.size{{mount={point}}}"] == size
        near(ours, {f"filesystem.used{{mount={point}}}": used, f"filesystem.free{{mount={point}}}": free}, 512 << 20)
        total, taken, left = tool("df", "--output=itotal,iused,iavail", point).splitlines()[1].split()
        if int(total):
            near(ours, {f"filesystem.inodes_free{{mount={point}}}": int(left)}, 20_000)
            near(ours, {f"filesystem.inodes_used{{mount={point}}}": round(10_000 * int(taken) / int(total))}, 100)
        options = tool("findmnt", "-n", "-o", "OPTIONS", "--mountpoint", point).split("\n")[-2].split(",")
        assert ours[f"filesystem.readonly{{mount={point}}}"] == int("ro" in options)


@compared_at_rest
def test_disks_are_those_of_lsblk() -> None:
    ours = one(DiskDetails())
    for device in json.loads(tool("lsblk", "-b", "-J", "-d", "-o", "NAME,SIZE,ROTA,TYPE"))["blockdevices"]:
        name = device["name"]
        if f"disk.size{{device={name}}}" in ours:
            assert device["type"] == "disk"
            assert ours[f"disk.size{{device={name}}}"] == int(device["size"])
            assert ours[f"disk.rotating{{device={name}}}"] == int(device["rota"])
        else:
            assert device["type"] != "disk" or name.startswith(("zram", "ram")) or not int(device["size"])


def links() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(tool("ip", "-s", "-j", "link"))
    return [link for link in found if link["ifname"] != "lo"]


@compared_at_rest
def test_interfaces_are_those_of_ip() -> None:
    def ours() -> dict[str, int]:
        counters = parse_net_dev(file("/proc/net/dev"))
        return {f"{name} {field}": value for name, found in counters.items() for field, value in found._asdict().items()}

    def theirs() -> dict[str, int]:
        told = {}
        for link in links():
            for theirs, ours in (("rx", "received"), ("tx", "sent")):
                counters = link["stats64"][theirs]
                told[f"{link['ifname']} {ours}"] = counters["bytes"]
                told[f"{link['ifname']} packets_{ours}"] = counters["packets"]
                told[f"{link['ifname']} errors_{ours}"] = counters["errors"]
        return told

    around(ours, theirs)
    states = {"UP": 1, "DOWN": 0}
    faults = one(NetworkFaults())
    told = {f"network.up{{interface={link['ifname']}}}": states[link["operstate"]] for link in links() if link["operstate"] in states}
    assert {name: value for name, value in faults.items() if name.startswith("network.up")}.items() <= told.items()


def test_tcp_sockets_are_those_of_ss() -> None:
    """`ss -tan` lists them all; the machine is not still, so some tries."""

    def ours() -> dict[str, int]:
        tcp = Tcp()
        values = one(tcp)
        tcp.close()
        return {name[4:]: value for name, value in values.items() if value and name in {"tcp.listen", "tcp.established", "tcp.close_wait"}}

    def theirs() -> dict[str, int]:
        states = [line.split()[0] for line in tool("ss", "-H", "-tan").splitlines()]
        named = {"LISTEN": "listen", "ESTAB": "established", "CLOSE-WAIT": "close_wait"}
        return {name: states.count(state) for state, name in named.items() if state in states}

    agree(ours, theirs)


def test_the_sums_of_sockets_are_those_of_ss() -> None:
    def ours() -> tuple[int | None, int | None]:
        sockets = one(Sockets())
        return sockets["tcp.orphans"], sockets["udp.sockets"]

    def theirs() -> tuple[int | None, int | None]:
        text = tool("ss", "-s")
        orphans, udp = re.search(r"orphaned (\d+)", text), re.search(r"^UDP\s+(\d+)", text, re.MULTILINE)
        assert orphans
        assert udp
        return int(orphans[1]), int(udp[1])

    agree(ours, theirs)


@compared_at_rest
def test_protocol_counters_are_those_of_nstat() -> None:
    def ours() -> dict[str, int]:
        found = parse_snmp(file("/proc/net/snmp"), (b"Tcp", b"Udp")) | parse_snmp(file("/proc/net/netstat"), (b"TcpExt",))
        return {name.replace(".", ""): value for name, value in found.items()}

    def theirs() -> dict[str, int]:
        rows = [line.split() for line in tool("nstat", "-asz").splitlines()[1:]]
        wanted = (
            "TcpActiveOpens",
            "TcpPassiveOpens",
            "TcpRetransSegs",
            "TcpOutRsts",
            "UdpInDatagrams",
            "UdpOutDatagrams",
            "TcpExtListenDrops",
        )
        return {row[0]: int(row[1]) for row in rows if row[0] in wanted}

    around(ours, theirs)


@compared_at_rest
def test_uptime_processes_and_threads_are_those_of_psutil() -> None:
    assert one(System())["system.uptime"] == pytest.approx(time.time() - psutil.boot_time(), abs=3)
    before, told, after = one(ProcessStates()), len(psutil.pids()), one(ProcessStates())
    room = 60  # other programs of this machine start and end
    assert (before["processes.total"] or 0) - room <= told <= (after["processes.total"] or 0) + room
    assert (after["processes.threads"] or 0) >= (after["processes.total"] or 0) - room
    running = [line for line in tool("ps", "-eo", "stat=").splitlines() if line.startswith("Z")]
    assert after["processes.zombie"] == pytest.approx(len(running), abs=20)
