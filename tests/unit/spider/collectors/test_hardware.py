"""Fans, power, batteries, GPUs, arrays and disks' health.

btrfs is recorded from a real file system. All others are format tests, since this machine has no such hardware: trees as in the documents
that the readers' docstrings cite.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from spider.sampling.collectors.arrays import Arrays, ArrayTable, parse_progress, read_btrfs
from spider.sampling.collectors.base import Collector
from spider.sampling.collectors.gpu import Gpus, awake_share
from spider.sampling.collectors.gpu_values import Gpu
from spider.sampling.collectors.nvml import RETRY_S, Nvml
from spider.sampling.collectors.power import Batteries, BatteryTable, Energy, Zone, milliwatts
from spider.sampling.collectors.sensors import Chips
from spider.sampling.collectors.smart import Smart, life_used, parse_state
from spider.wire.metrics import parse_series
from tests.support.recordings import DATA, write
from tests.support.some import some


def read(collector: Collector, now: float = 0.0) -> dict[str, int | None]:
    """What a collector gives, by series; each of them is one of the catalogue, in the collector's family."""
    values = collector.read(now)
    series = collector.series()
    assert all(parse_series(name)[0].family == collector.family for name in series)
    return dict(zip(series, values, strict=True))


# -- chips -----------------------------------------------------------------------------------------


def test_fans_power_and_current_come_in_their_units(tmp_path: Path) -> None:
    chip = "class/hwmon/hwmon0"
    write(
        tmp_path, {f"{chip}/name": "nct6775\n", f"{chip}/fan1_input": "1180\n", f"{chip}/fan1_label": "CPU\n", f"{chip}/fan2_input": "0\n"}
    )
    write(tmp_path, {f"{chip}/power1_input": "23456789\n", f"{chip}/power1_average": "1\n", f"{chip}/power2_average": "5000000\n"})
    write(tmp_path, {f"{chip}/curr1_input": "-1250\n", f"{chip}/fan3_input": "", f"{chip}/power3_input": "lots"})
    assert read(Chips(str(tmp_path))) == {
        "fan{sensor=nct6775 CPU}": 1180,
        "fan{sensor=nct6775 fan2}": 0,
        "fan{sensor=nct6775 fan3}": None,
        "power{sensor=nct6775 power1}": 23_457,
        "power{sensor=nct6775 power2}": 5000,
        "power{sensor=nct6775 power3}": None,
        "current{sensor=nct6775 curr1}": -1250,
    }


def test_energy_becomes_watts_over_the_time_between_two_readings(tmp_path: Path) -> None:
    base = "class/powercap"
    for zone, name, used in (
        ("intel-rapl:0", "package-0", 1_000_000),
        ("intel-rapl:0:1", "core", 500),
        ("intel-rapl-mmio:0", "package-0", 7),
    ):
        write(tmp_path, {f"{base}/{zone}/name": name + "\n", f"{base}/{zone}/energy_uj": f"{used}\n"})
    write(tmp_path, {f"{base}/intel-rapl/enabled": "1", f"{base}/intel-rapl:0/max_energy_range_uj": "2000000\n"})
    energy = Energy(str(tmp_path))
    assert read(energy, 100.0) == {}
    write(tmp_path, {f"{base}/intel-rapl:0/energy_uj": "500000\n", f"{base}/intel-rapl:0:1/energy_uj": "60000500\n"})
    assert read(energy, 160.0) == {"power{sensor=package-0}": 25, "power{sensor=package-0 core}": 1000}


def test_a_counter_of_energy_that_may_not_be_read_is_not_named(tmp_path: Path) -> None:
    write(tmp_path, {"class/powercap/intel-rapl:0/name": "package-0\n"})  # its energy_uj is root's alone, since Linux 5.10
    energy = Energy(str(tmp_path))
    assert read(energy, 1.0) == read(energy, 2.0) == {}
    assert milliwatts(Zone("x", 5, 0), Zone("x", 9, 0), 1.0) is None


SUPPLY = "class/power_supply"


def test_batteries_report_charge_and_power(tmp_path: Path) -> None:
    bat0 = {"type": "Battery", "status": "Discharging", "capacity": "87", "power_now": "12500000", "energy_full": "40000000"}
    bat0 |= {"energy_full_design": "50000000", "cycle_count": "321", "model_name": "DELL 7FHHV4C", "present": "1"}
    ups = {
        "type": "UPS",
        "status": "Charging",
        "charge_now": "500",
        "charge_full": "1000",
        "current_now": "-2000000",
        "voltage_now": "12000000",
    }
    mouse = {"type": "Battery", "scope": "Device", "capacity": "50", "status": "Discharging"}
    mice = [(f"00_mouse_{number}", mouse) for number in range(40)]  # they use up no limit
    for name, facts in (*mice, ("BAT0", bat0), ("ups", ups), ("AC", {"type": "Mains", "online": "1"})):
        write(tmp_path, {f"{SUPPLY}/{name}/{key}": value + "\n" for key, value in facts.items()})
    assert read(Batteries(str(tmp_path))) == {
        "battery.charge{battery=BAT0}": 8700,
        "battery.power{battery=BAT0}": -12_500,
        "battery.charge{battery=ups}": 5000,
        "battery.power{battery=ups}": 24_000,
    }
    reading = some(BatteryTable(str(tmp_path)).read(0.0))
    assert reading.rows == [
        ("BAT0", "battery", "discharging", 8700, 8000, 321, "DELL 7FHHV4C"),
        ("ups", "ups", "charging", 5000, None, None, None),
    ]


def test_an_empty_battery_is_zero_and_not_unknown(tmp_path: Path) -> None:
    facts = {"type": "Battery", "energy_now": "0", "energy_full": "40000000", "energy_full_design": "50000000"}
    write(tmp_path, {f"{SUPPLY}/BAT0/{key}": value + "\n" for key, value in facts.items()})
    assert read(Batteries(str(tmp_path))) == {"battery.charge{battery=BAT0}": 0}


def test_a_battery_that_stops_answering_is_null_and_a_silent_one_has_no_series(tmp_path: Path) -> None:
    write(tmp_path, {f"{SUPPLY}/BAT0/type": "Battery\n", f"{SUPPLY}/BAT0/capacity": "87\n"})
    batteries = Batteries(str(tmp_path))
    assert read(batteries) == {"battery.charge{battery=BAT0}": 8700}
    (tmp_path / SUPPLY / "BAT0/capacity").unlink()
    assert read(batteries) == {"battery.charge{battery=BAT0}": None}
    assert BatteryTable(str(tmp_path / "none")).read(0.0) is None


# -- GPUs ------------------------------------------------------------------------------------------


def card(root: Path, name: str, place: str, driver: str, files: dict[str, str]) -> None:
    device = root / "devices" / place
    write(device, {path.removeprefix("device/"): text + "\n" for path, text in files.items() if path.startswith("device/")})
    (root / "drivers" / driver).mkdir(parents=True, exist_ok=True)
    (device / "driver").symlink_to(root / "drivers" / driver)
    write(root / "class/drm" / name, {path: text + "\n" for path, text in files.items() if not path.startswith("device/")})
    (root / "class/drm" / name).mkdir(parents=True, exist_ok=True)
    (root / "class/drm" / name / "device").symlink_to(device)


def test_amd_and_intel_gpus_report_the_values_of_their_drivers(tmp_path: Path) -> None:
    amd = {
        "device/vendor": "0x1002",
        "device/gpu_busy_percent": "37",
        "device/mem_info_vram_used": "1000",
        "device/mem_info_vram_total": "4000",
    }
    card(tmp_path, "card0", "0000:03:00.0", "amdgpu", amd)
    card(
        tmp_path,
        "card1",
        "0000:00:02.0",
        "i915",
        {"device/vendor": "0x8086", "gt/gt0/rc6_residency_ms": "1000", "gt/gt1/rc6_residency_ms": "9000"},
    )
    card(tmp_path, "card2", "0000:04:00.0", "xe", {"device/vendor": "0x8086", "device/tile0/gt0/gtidle/idle_residency_ms": "500"})
    card(tmp_path, "card3", "0000:05:00.0", "i915", {"device/vendor": "0x8086", "power/rc6_residency_ms": "0"})
    card(tmp_path, "card4", "0000:06:00.0", "nouveau", {"device/vendor": "0x10de"})
    write(tmp_path, {"class/drm/card0-DP-1/status": "connected"})
    gpus = Gpus(str(tmp_path / "proc"), str(tmp_path))
    at_once = {"busy": 3700, "memory_used": 1000, "memory_total": 4000}
    told = {f"gpu.{part}{{gpu=amdgpu 0000:03:00.0}}": value for part, value in at_once.items()}
    assert read(gpus, 10.0) == told
    for name, slept in (("card1/gt/gt0", 31_000), ("card1/gt/gt1", 69_000)):
        write(tmp_path, {f"class/drm/{name}/rc6_residency_ms": f"{slept}\n"})
    write(tmp_path, {"devices/0000:04:00.0/tile0/gt0/gtidle/idle_residency_ms": "60500\n", "class/drm/card3/power/rc6_residency_ms": "0\n"})
    assert read(gpus, 70.0) == {
        **told,
        "gpu.awake{gpu=i915 0000:00:02.0}": 5000,
        "gpu.awake{gpu=i915 0000:05:00.0}": 10_000,
        "gpu.awake{gpu=xe 0000:04:00.0}": 0,
    }
    assert awake_share(1, 2, 1.0) is None


NVML = """
#include <string.h>
typedef struct { unsigned gpu, memory; } rates;
typedef struct { unsigned long long total, free, used; } held;
static int devices[2];
static int ready, resets;
int nvmlInit_v2(void) { ready = 1; return 0; }
int nvmlShutdown(void) { ready = 0; return 0; }
void reset(void) { resets = 1; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; if (resets) { resets = 0; return 999; } return ready ? 0 : 1; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = &devices[index]; return 0; }
int nvmlDeviceGetName(void *device, char *name, unsigned size) { strncpy(name, "Stand-in", size); return 0; }
int nvmlDeviceGetUtilizationRates(void *device, rates *found) { found->gpu = 42; found->memory = 7; return device == &devices[1] ? 3 : 0; }
int nvmlDeviceGetMemoryInfo(void *device, held *found) { found->total = 1ULL << 34; found->free = 1; found->used = 5ULL << 30; return 0; }
int nvmlDeviceGetTemperature(void *device, unsigned kind, unsigned *found) { *found = kind ? 0 : 61; return 0; }
int nvmlDeviceGetPowerUsage(void *device, unsigned *found) { *found = 123456; return 0; }
"""


def test_nvml_is_called_as_its_reference_says(tmp_path: Path) -> None:
    """Against a library of our own with the same functions: there is no such card at hand."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler on this machine")
    (tmp_path / "nvml.c").write_text(NVML)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "nvml.so", tmp_path / "nvml.c"], check=True)
    nvml = Nvml(str(tmp_path / "nvml.so"))
    found = nvml.read(0.0)
    assert found == [
        Gpu("Stand-in #0", 42.0, float(5 << 30), float(1 << 34), 61.0, 123.456),
        Gpu("Stand-in #1", None, float(5 << 30), float(1 << 34), 61.0, 123.456),
    ]
    ctypes.CDLL(str(tmp_path / "nvml.so")).reset()
    assert [nvml.read(10.0), nvml.read(10.0 + RETRY_S - 1.0)] == [[], []], "the library is left alone for some minutes"
    assert nvml.read(10.0 + RETRY_S) == found, "it was shut down and initialised again"
    nvml.close()


def test_a_host_with_the_driver_and_without_its_library_has_no_gpu(tmp_path: Path) -> None:
    nvml = Nvml(str(tmp_path / "none.so"))
    assert nvml.read(0.0) == []
    assert nvml.read(2 * RETRY_S) == []
    nvml.close()


# -- arrays ----------------------------------------------------------------------------------------


def test_a_real_btrfs_mirror_in_health_with_errors_and_without_a_device() -> None:
    states = {}
    for origin in ("btrfs-raid1", "btrfs-errors", "btrfs-degraded"):
        [pool] = read_btrfs(str(DATA / origin))
        states[origin] = (pool.name, pool.level, pool.state, pool.devices, pool.missing, pool.errors, pool.action)
    assert states == {
        "btrfs-raid1": ("lab-pool", "raid1", "ok", 2, 0, 0, ""),
        "btrfs-errors": ("lab-pool", "raid1", "ok", 2, 0, 420, ""),
        "btrfs-degraded": ("lab-pool", "raid1", "degraded", 2, 1, 0, ""),
    }
    assert read(Arrays("/none", str(DATA / "btrfs-degraded"))) == {"btrfs.missing{pool=lab-pool}": 1, "btrfs.errors{pool=lab-pool}": 0}


def test_a_delayed_rebuild_is_at_zero_and_an_unknown_one_is_null(tmp_path: Path) -> None:
    """md.rst: of arrays that share a disk one is rebuilt after the other."""
    for name, completed in (("md0", "delayed"), ("md1", "none")):
        md(
            tmp_path,
            name,
            level="raid1",
            array_state="clean",
            raid_disks="2",
            degraded="1",
            sync_action="recover",
            sync_completed=completed,
        )
    found = read(Arrays(str(tmp_path / "proc"), str(tmp_path)))
    assert (found["md.progress{array=md0}"], found["md.progress{array=md1}"]) == (0, None)


def test_two_btrfs_of_one_label_are_distinguished(tmp_path: Path) -> None:
    for number in "12":
        write(tmp_path, {f"fs/btrfs/{number}0000000-aaaa-bbbb-cccc-dddddddddddd/label": "data\n"})
    assert [pool.name for pool in read_btrfs(str(tmp_path))] == ["data 10000000", "data 20000000"]


def md(root: Path, name: str, **facts: str) -> None:
    write(root, {f"block/{name}/md/{key}": value + "\n" for key, value in facts.items()})


def test_md_arrays_and_zfs_pools_report_their_state(tmp_path: Path) -> None:
    sync = {"sync_action": "recover", "sync_completed": "3906994 / 7813988", "mismatch_cnt": "128"}
    md(tmp_path, "md0", level="raid1", array_state="active", raid_disks="2", degraded="1", **sync)
    md(
        tmp_path,
        "md1",
        level="raid6",
        array_state="clean",
        raid_disks="6",
        degraded="0",
        sync_action="idle",
        sync_completed="none",
        mismatch_cnt="0",
    )
    md(tmp_path, "md2", level="raid0", array_state="clean", raid_disks="2")
    md(tmp_path, "md3", array_state="clear", raid_disks="0")
    write(
        tmp_path,
        {"proc/spl/kstat/zfs/tank/state": "DEGRADED\n", "proc/spl/kstat/zfs/rpool/state": "ONLINE\n", "proc/spl/kstat/zfs/arcstats": "x"},
    )
    proc, sys = str(tmp_path / "proc"), str(tmp_path)
    assert read(Arrays(proc, sys)) == {
        "md.missing{array=md0}": 1,
        "md.progress{array=md0}": 5000,
        "md.missing{array=md1}": 0,
        "md.progress{array=md1}": 10_000,
        "zfs.healthy{pool=rpool}": 1,
        "zfs.healthy{pool=tank}": 0,
    }
    reading = some(ArrayTable(proc, sys).read(0.0))
    assert reading.rows == [
        ("md0", "md", "raid1", "active", 2, 1, 128, "recover", 5000),
        ("md1", "md", "raid6", "clean", 6, 0, 0, "", None),
        ("md2", "md", "raid0", "clean", 2, None, None, "", None),
        ("rpool", "zfs", None, "online", None, None, None, "", None),
        ("tank", "zfs", None, "degraded", None, None, None, "", None),
    ]


@pytest.mark.parametrize(
    ("text", "share"), [("none", None), ("delayed", 0.0), ("0 / 0", None), ("1 / 4", 25.0), ("9 / 4", 100.0), ("-1 / 4", None)]
)
def test_the_progress_of_a_resync_is_computed(text: str, share: float | None) -> None:
    assert parse_progress(text) == share


# -- health ----------------------------------------------------------------------------------------

STATE = """# smartd state file
temperature-min = 21
temperature-max = 43
self-test-errors = 0
ata-error-count = 12
ata-smart-attribute.0.id = 1
ata-smart-attribute.0.val = 200
ata-smart-attribute.3.id = 5
ata-smart-attribute.3.val = 199
ata-smart-attribute.3.raw = 8
ata-smart-attribute.9.id = 197
ata-smart-attribute.9.raw = 281474976710657
ata-smart-attribute.10.id = 198
ata-smart-attribute.11.raw = 5
mail.0.count = 1
broken
ata-smart-attribute.x.id = 9
"""


def test_state_files_of_smartd_are_parsed(tmp_path: Path) -> None:
    values = {"smart.errors": 12, "smart.reallocated": 8, "smart.pending": 1, "smart.uncorrectable": 0}
    assert parse_state(STATE) == values
    folder = write(tmp_path / "states", {"smartd.WDC_WD40-WX1.ata.state": STATE, "smartd.NVME-S1.nvme.state": "nvme-err-log-entries = 3\n"})
    write(folder, {"smartd.OLD-S2.scsi.state": "scsi-grown-defects = 7\n", "smartd.GONE-S4.ata.state": STATE})
    write(folder, {"other": STATE, "smartd.EMPTY-S3.scsi.state": ""})
    now = (folder / "smartd.WDC_WD40-WX1.ata.state").stat().st_mtime
    for name, age_s in (("OLD-S2.scsi", 1e6), ("GONE-S4.ata", 1e7)):
        os.utime(folder / f"smartd.{name}.state", (now - age_s, now - age_s))
    write(tmp_path, {"sys/block/mmcblk0/device/life_time": "0x03 0x05\n", "sys/block/sda/device/life_time": "0x01 0x01\n"})
    assert read(Smart(str(tmp_path / "sys"), str(folder), lambda: now)) == {
        "smart.errors{disk=NVME-S1}": 3,
        "smart.errors{disk=OLD-S2}": None,
        **{f"{name}{{disk=WDC_WD40-WX1}}": value for name, value in values.items()},
        "disk.life_used{device=mmcblk0}": 5000,
    }


def test_an_ata_disk_without_errors_has_zero_of_them() -> None:
    assert parse_state("ata-smart-attribute.0.id = 5\n")["smart.errors"] == 0
    assert parse_state("temperature-min = 20\n") == {}


@pytest.mark.parametrize(("text", "share"), [("0x01 0x01", 1000), ("0x0b 0x02", 10_000), ("0x00 0x00", None), ("junk", None), ("", None)])
def test_how_much_of_a_flash_chip_is_used(text: str, share: int | None) -> None:
    assert life_used(text) == share


def test_a_host_without_hardware_sensors_has_no_series(tmp_path: Path) -> None:
    nowhere = str(tmp_path)
    for collector in (
        Chips(nowhere),
        Energy(nowhere),
        Batteries(nowhere),
        Gpus(nowhere, nowhere),
        Arrays(nowhere, nowhere),
        Smart(nowhere, nowhere),
    ):
        assert read(collector) == {}
    assert ArrayTable(nowhere, nowhere).read(0.0) is None
