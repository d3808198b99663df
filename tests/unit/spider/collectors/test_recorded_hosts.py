"""All collectors on recorded hosts, and on hosts without any one of their files."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from spider.sampling.collectors.base import Collector
from spider.sampling.collectors.linux import linux_collectors
from spider.sampling.collectors.sensors import Temperatures
from spider.sampling.sampler import layout_of
from spider.wire.codec import pack_row
from spider.wire.frames import MAX_FRAME_BYTES
from spider.wire.metrics import parse_series
from spider.wire.sample_messages import Row
from tests.support.recordings import DATA, read

RECORDED = DATA / "recorded"
NOBODY = 65534


def measured(root: Path) -> dict[str, int | None]:
    """Two readings of everything, a minute apart; a collector that fails gives nothing, as in the sampler."""
    found: dict[str, int | None] = {}
    for collector in linux_collectors(str(root / "proc"), str(root / "sys")):
        if type(collector).__name__ in {"Tcp", "Clocks"}:
            continue  # they ask the kernel of this machine, not a folder
        values: dict[str, int | None] = {}
        for now in (1000.0, 1060.0):
            try:
                values = read(collector, now)
            except (OSError, ValueError):
                values = {}
        hold(collector, values)
        found.update(values)
        collector.close()
    return found


def hold(collector: Collector, values: dict[str, int | None]) -> None:
    """What it gives can be sent and stored."""
    for name, value in values.items():
        assert parse_series(name)[0].family == collector.family
        assert value is None or -(2**63) <= value < 2**63
    layout_of(collector.family, 1, list(values))
    assert len(pack_row(Row(1_700_000_000_000, list(values.values())))) < MAX_FRAME_BYTES


def test_a_recorded_machine_has_values_for_every_file() -> None:
    found = measured(RECORDED / "machine")
    whole = {name for name in found if "{" not in name}
    assert {"memory.used", "pressure.io_full", "swap.in", "kernel.forks", "tcp.retransmits", "udp.received", "files.open"} <= whole
    assert found["disk.size{device=vda}"] == int((RECORDED / "machine/sys/block/vda/size").read_text()) * 512
    assert found["disk.read{device=vda}"] == 0, "nothing happened between two readings of a folder"
    assert found["network.up{interface=eth0}"] == 1
    assert found["processes.threads"] == int((RECORDED / "machine/proc/loadavg").read_text().split()[3].split("/")[1])
    assert found["cpu.total"] is None, "no tick has passed"
    missing = {"pressure.irq_full", "memory.zfs_arc", "conntrack.used", "cpu.throttles", "network.speed{interface=eth0}"}
    assert not missing & set(found), "what was not there is not named"


def test_a_host_behind_lxcfs_has_its_own_memory() -> None:
    assert measured(RECORDED / "debian-new-host-own-numbers")["memory.total"] == 512 << 20


FILES = sorted(path.relative_to(RECORDED / "machine") for path in (RECORDED / "machine").rglob("*") if path.is_file())


@pytest.mark.parametrize("gone", FILES, ids=str)
def test_a_missing_file_costs_its_own_values_only(gone: Path, tmp_path: Path) -> None:
    shutil.copytree(RECORDED / "machine", tmp_path / "host")
    (tmp_path / "host" / gone).unlink()
    before, after = measured(RECORDED / "machine"), measured(tmp_path / "host")
    assert set(after) <= set(before)
    assert len(after) >= len(before) - 40
    assert "memory.total" in after or gone.name == "meminfo"


def test_a_host_without_sys_is_measured(tmp_path: Path) -> None:
    shutil.copytree(RECORDED / "machine/proc", tmp_path / "proc")
    found = measured(tmp_path)
    assert found["disk.read{device=vda}"] == found["network.received{interface=eth0}"] == 0
    assert "disk.size{device=vda}" not in found
    assert "network.up{interface=eth0}" not in found


@contextlib.contextmanager
def as_somebody_else() -> Iterator[None]:
    """Root may read everything, so this temporarily becomes a user who may not."""
    user = os.geteuid()
    os.seteuid(user or NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def test_an_unreadable_file_is_treated_as_missing() -> None:
    with tempfile.TemporaryDirectory() as folder:  # not below root's own folder of tests, which is closed to other users
        Path(folder).chmod(0o755)
        host = Path(folder, "host")
        shutil.copytree(RECORDED / "machine", host)
        assert "swap.in" in measured(host)
        (host / "proc/vmstat").chmod(0)
        with as_somebody_else():
            found = measured(host)
        assert "swap.in" not in found
        assert "memory.total" in found


def test_an_empty_host_has_no_values_and_no_failure(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    assert measured(tmp_path) == {}


def test_folders_in_place_of_files_cause_no_failure(tmp_path: Path) -> None:
    for path in FILES:
        (tmp_path / path).mkdir(parents=True)
    assert "memory.total" not in measured(tmp_path)


def test_counters_that_went_back_or_wrapped_give_nulls_and_continue(tmp_path: Path) -> None:
    """After a restart of a driver, a container that was moved, or at 2**32 on old kernels."""
    host = tmp_path / "host"
    shutil.copytree(RECORDED / "machine", host)
    for collector in linux_collectors(str(host / "proc"), str(host / "sys")):
        if type(collector).__name__ in {"Tcp", "Clocks", "Filesystems"} or isinstance(collector, Temperatures) or not collector.counts:
            continue
        shutil.copytree(RECORDED / "machine", host, dirs_exist_ok=True)
        collector.read(0.0)
        reset(host)
        after = read(collector, 1.0)
        hold(collector, after)
        assert all(value is None or value >= 0 for value in after.values())
        assert all(value is not None for name, value in read(collector, 2.0).items() if not name.startswith("cpu.")), "it goes on"
        collector.close()


def reset(host: Path) -> None:
    for name in ("stat", "vmstat", "diskstats", "net/dev", "net/snmp", "net/netstat", "pressure/io", "pressure/cpu"):
        path = host / "proc" / name
        text = path.read_text()
        if name.startswith("pressure"):
            path.write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
            continue
        lines = []
        for line in text.splitlines():
            head, *rest = line.split()
            kept = 2 if name == "diskstats" else 0
            numbers = [word if place < kept or not word.isdigit() else str(int(word) % 7) for place, word in enumerate(rest)]
            first = head if name != "diskstats" else "254"
            lines.append(" ".join([first, *numbers]))
        path.write_text("\n".join(lines) + "\n")
