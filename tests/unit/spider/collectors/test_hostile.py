"""For any content of /proc, a parser returns a value or raises ValueError."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spider.sampling.collectors.addresses import parse_addresses
from spider.sampling.collectors.clock import parse_timex
from spider.sampling.collectors.cpu import parse_activity, parse_stat
from spider.sampling.collectors.disk import parse_diskstats, whole_disks
from spider.sampling.collectors.frequency import parse_cpuinfo_mhz
from spider.sampling.collectors.identity import parse_cpu_model, parse_os_release, parse_uptime
from spider.sampling.collectors.load import parse_loadavg
from spider.sampling.collectors.memory import parse_arcstats, parse_details, parse_meminfo, parse_vmstat
from spider.sampling.collectors.mounts import choose, parse_filesystems, parse_mountinfo
from spider.sampling.collectors.netlink import parse_attributes, parse_messages
from spider.sampling.collectors.network import parse_net_dev
from spider.sampling.collectors.pressure import parse_pressure
from spider.sampling.collectors.process_states import parse_state, parse_threads
from spider.sampling.collectors.protocols import parse_snmp, parse_snmp6
from spider.sampling.collectors.sensors import parse_temperature
from spider.sampling.collectors.system import parse_file_nr, parse_uptime_s
from spider.sampling.collectors.tcp import count_states, parse_sockstat
from tests.support.recordings import captured


def text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def messages(data: bytes) -> list[tuple[bytes, int, int]]:
    try:
        return [(data, start, end) for _, start, end in parse_messages(data)]
    except OSError:  # the kernel said so: not a matter of parsing
        return []


RECORDED = "recorded/machine/proc"
PARSERS: list[tuple[Callable[[bytes], Any], str, str]] = [
    (parse_stat, "machine", "stat"),
    (parse_loadavg, "machine", "loadavg"),
    (parse_meminfo, "machine", "meminfo"),
    (lambda data: whole_disks(parse_diskstats(data)), "machine", "diskstats"),
    (parse_net_dev, "machine", "net_dev"),
    (lambda data: parse_sockstat(data, b"TCP"), "machine", "net_sockstat"),
    (lambda data: choose(parse_mountinfo(data), {"ext4"}), "loop-mounts", "1_mountinfo"),
    (parse_filesystems, "machine", "filesystems"),
    (lambda data: parse_os_release(text(data)), "nspawn", "os-release"),
    (lambda data: parse_cpu_model(text(data)), "machine", "cpuinfo"),
    (lambda data: parse_uptime(text(data)), "machine", "uptime"),
    (lambda data: parse_temperature(text(data)), "machine", "uptime"),
    (lambda data: count_states(messages(data)), "netlink", "sock_diag"),
    (lambda data: parse_addresses(messages(data)), "netlink", "getaddr"),
    (lambda data: list(parse_attributes(data, 0, len(data))), "netlink", "getaddr"),
    (parse_activity, RECORDED, "stat"),
    (parse_details, RECORDED, "meminfo"),
    (parse_vmstat, RECORDED, "vmstat"),
    (parse_arcstats, RECORDED, "vmstat"),
    (parse_pressure, RECORDED, "pressure/io"),
    (lambda data: parse_snmp(data, (b"Tcp", b"Udp", b"TcpExt")), RECORDED, "net/snmp"),
    (parse_snmp6, RECORDED, "net/snmp"),
    (parse_cpuinfo_mhz, RECORDED, "cpuinfo"),
    (parse_file_nr, RECORDED, "sys/fs/file-nr"),
    (parse_uptime_s, RECORDED, "uptime"),
    (parse_state, RECORDED, "1/stat"),
    (parse_threads, RECORDED, "loadavg"),
    (lambda data: parse_timex(0, data), RECORDED, "stat"),
]
NAMES = ["stat", "loadavg", "meminfo", "diskstats", "net_dev", "sockstat", "mountinfo", "filesystems", "os_release"]
NAMES += ["cpuinfo", "uptime", "temperature", "sock_diag", "getaddr", "attributes", "activity", "details", "vmstat", "arcstats"]
NAMES += ["pressure", "snmp", "snmp6", "mhz", "file-nr", "seconds", "state", "threads", "timex"]


def damaged(original: bytes) -> st.SearchStrategy[bytes]:
    """A real file, with a stretch of it cut out and other bytes put there."""
    at = st.integers(0, len(original))
    junk = st.one_of(
        st.binary(max_size=40), st.sampled_from([b"-1", b"9" * 30, b"nan", b"1e999", b"\n", b"\0", b" ", b":", b"\\777", b"1_0"])
    )
    return st.builds(lambda a, b, new: original[: min(a, b)] + new + original[max(a, b) :], at, at, junk)


@pytest.mark.parametrize(("parser", "origin", "name"), PARSERS, ids=NAMES)
@settings(max_examples=25)
@given(data=st.data())
def test_a_parser_raises_only_valueerror(parser: Callable[[bytes], Any], origin: str, name: str, data: st.DataObject) -> None:
    original = captured(origin, name)
    if origin == "netlink":
        original = original[4:]  # without the length that the capture put before the first datagram
    content = data.draw(st.one_of(st.binary(max_size=300), damaged(original)))
    with contextlib.suppress(ValueError):
        parser(content)


@given(st.lists(st.binary(min_size=1, max_size=30).filter(lambda raw: not set(raw) & set(b"\n\\ ")), min_size=1, max_size=4))
def test_any_path_survives_the_way_through_mountinfo(parts: list[bytes]) -> None:
    path = b"/" + b" \\\t".join(parts)
    escaped = b"".join(b"\\%03o" % byte if byte in b" \t\n\\" else bytes([byte]) for byte in path)
    (mount,) = parse_mountinfo(b"36 35 98:0 / " + escaped + b" rw,noatime - ext4 /dev/x rw\n")
    assert mount.point == os.fsdecode(path)
