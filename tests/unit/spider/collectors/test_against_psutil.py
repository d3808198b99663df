"""The readers beside psutil, an independent reading of this very machine."""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from contextlib import ExitStack

import psutil
import pytest

from spider.sampling.collectors.cpu import parse_stat
from spider.sampling.collectors.disk import parse_diskstats
from spider.sampling.collectors.filesystems import Filesystems
from spider.sampling.collectors.linux import linux_collectors
from spider.sampling.collectors.load import parse_loadavg
from spider.sampling.collectors.memory import parse_meminfo
from spider.sampling.collectors.network import parse_net_dev
from spider.sampling.collectors.tcp import Tcp
from spider.wire.metrics import parse_series
from tests.support.moving_machine import compared_at_rest

TICK = 1 / os.sysconf("SC_CLK_TCK")


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


@compared_at_rest
def test_processor_times_agree() -> None:
    ours, theirs = parse_stat(read("/proc/stat")), psutil.cpu_times()
    for name in ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"):
        assert getattr(ours[0], name) * TICK == pytest.approx(getattr(theirs, name), abs=1.0)
    assert len(ours[1]) == psutil.cpu_count()


@compared_at_rest
def test_load_agrees() -> None:
    assert parse_loadavg(read("/proc/loadavg")) == pytest.approx(psutil.getloadavg(), abs=0.2)


@compared_at_rest
def test_memory_agrees() -> None:
    ours, theirs, swap = parse_meminfo(read("/proc/meminfo")), psutil.virtual_memory(), psutil.swap_memory()
    assert ours.total == theirs.total
    assert ours.available == pytest.approx(theirs.available, abs=256 << 20)
    assert ours.used == pytest.approx(theirs.total - theirs.available, abs=256 << 20)
    assert ours.cached == pytest.approx(theirs.cached, abs=256 << 20)
    assert ours.buffers == pytest.approx(theirs.buffers, abs=64 << 20)
    assert ours.swap_total == swap.total
    assert ours.swap_used == pytest.approx(swap.used, abs=64 << 20)


@compared_at_rest
def test_disks_agree() -> None:
    ours, theirs = parse_diskstats(read("/proc/diskstats")), psutil.disk_io_counters(perdisk=True)
    assert ours
    for name, counters in ours.items():
        if name not in theirs:
            continue  # psutil leaves out what never had a request
        assert counters.reads == pytest.approx(theirs[name].read_count, abs=50_000)
        assert counters.writes == pytest.approx(theirs[name].write_count, abs=50_000)
        assert counters.read_bytes == pytest.approx(theirs[name].read_bytes, abs=256 << 20)
        assert counters.written_bytes == pytest.approx(theirs[name].write_bytes, abs=256 << 20)
        assert counters.busy_ms == pytest.approx(theirs[name].busy_time, abs=2000)


@compared_at_rest
def test_network_agrees() -> None:
    ours, theirs = parse_net_dev(read("/proc/net/dev")), psutil.net_io_counters(pernic=True)
    assert set(ours) == set(theirs) - {"lo"}
    for name, counters in ours.items():
        assert counters.received == pytest.approx(theirs[name].bytes_recv, abs=64 << 20)
        assert counters.sent == pytest.approx(theirs[name].bytes_sent, abs=64 << 20)
        assert counters.packets_received == pytest.approx(theirs[name].packets_recv, abs=100_000)
        assert counters.packets_sent == pytest.approx(theirs[name].packets_sent, abs=100_000)
        faults = (counters.errors_received, counters.errors_sent, counters.drops_received, counters.drops_sent)
        assert faults == pytest.approx((theirs[name].errin, theirs[name].errout, theirs[name].dropin, theirs[name].dropout), abs=100)


@compared_at_rest
def test_file_systems_agree() -> None:
    found = Filesystems()
    values = found.read(0.0)
    by_name = dict(zip(found.series(), values, strict=True))
    theirs = psutil.disk_usage("/")
    assert by_name["filesystem.size{mount=/}"] == theirs.total
    assert by_name["filesystem.used{mount=/}"] == pytest.approx(theirs.used, abs=256 << 20)


def test_tcp_states_agree() -> None:
    """With sockets of our own in many states; other programs of this machine may change some meanwhile."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        six = stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6)) if socket.has_ipv6 else listener
        for server in (listener, six, listener):
            stack.enter_context(socket.create_connection(server.getsockname()[:2]))
            stack.enter_context(server.accept()[0])
        half = stack.enter_context(socket.create_connection(listener.getsockname()))
        listener.accept()[0].close()
        stack.enter_context(half)
        done = socket.create_connection(listener.getsockname())
        peer = listener.accept()[0]
        done.close()
        peer.close()
        tcp = Tcp()
        after = _tcp_states()
        for attempt in range(60):
            before, values = after, tcp.read(attempt * 100.0)
            ours = Counter({name: int(value or 0) for name, value in zip(tcp.series(), values, strict=True)})
            after = _tcp_states()
            if before & after <= ours <= before | after:  # without other programs, all three are equal
                break
            time.sleep(0.05)
        tcp.close()
        assert before & after <= ours <= before | after
        assert {"tcp.established", "tcp.listen", "tcp.close_wait", "tcp.fin_wait2"} <= set(+ours)


def _tcp_states() -> Counter[str]:
    return Counter(f"tcp.{found.status.lower()}" for found in psutil.net_connections("tcp"))


def test_every_collector_reads_one_value_per_series_on_this_machine() -> None:
    for collector in linux_collectors():
        for now in (1.0, 2.0):
            values = collector.read(now)
            assert len(values) == len(collector.series())
        for name in collector.series():
            assert parse_series(name)[0].family == collector.family
        collector.close()
