"""Uptime, files, entropy, frequencies and the states of processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.sampling.collectors.frequency import Frequencies, parse_cpuinfo_mhz
from spider.sampling.collectors.process_states import ProcessStates, parse_state, parse_threads
from spider.sampling.collectors.system import System, parse_file_nr, parse_uptime_s
from tests.support.recordings import DATA, captured, read, write

MACHINE = "recorded/machine/proc"


def test_the_machine_is_read_by_value() -> None:
    assert read(System(str(DATA / MACHINE)), 0.0) == {
        "system.uptime": int(float(captured(MACHINE, "uptime").split()[0])),
        "system.entropy": 256,
        "files.open": 1954,
        "files.limit": 2466177,
    }
    assert read(System("/none"), 0.0) == {}


def test_the_largest_number_of_files_is_a_limit_too() -> None:
    assert parse_file_nr(b"1024\t0\t18446744073709551615\n") == (1024, 2**63 - 1)


@pytest.mark.parametrize("text", [b"", b"1 2\n", b"a 0 5\n", b"-1 0 5\n"])
def test_malformed_file_nr_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_file_nr(text)


@pytest.mark.parametrize("text", [b"", b"nan 5\n", b"-1 5\n", b"1e300 5\n"])
def test_malformed_uptime_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_uptime_s(text)


def test_a_virtual_machine_reports_its_nominal_frequency() -> None:
    speeds = parse_cpuinfo_mhz(captured(MACHINE, "cpuinfo"))
    assert len(speeds) == 2
    assert all(1000 < speed < 6000 for speed in speeds)


def test_cores_are_asked_where_there_is_cpufreq(tmp_path: Path) -> None:
    """As Documentation/admin-guide/pm/cpufreq.rst (kHz) and ABI/testing/sysfs-devices-system-cpu have them."""
    files: dict[str, str | bytes] = {f"devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq": f"{core + 1}00000\n" for core in range(3)}
    files |= {f"devices/system/cpu/cpu{core}/thermal_throttle/core_throttle_count": f"{core}\n" for core in range(3)}
    files |= {"devices/system/cpu/cpufreq/boost": "1\n", "devices/system/cpu/cpu3/cpufreq/scaling_cur_freq": "<unknown>\n"}
    found = read(Frequencies("/none", str(write(tmp_path, files))), 0.0)
    assert found == {"cpu.frequency": 200, "cpu.frequency_lowest": 100, "cpu.throttles": 3}


def test_a_processor_without_a_reported_frequency_has_no_series(tmp_path: Path) -> None:
    write(tmp_path, {"cpuinfo": "processor\t: 0\nBogoMIPS\t: 108.00\n"})  # as an ARM core says
    assert read(Frequencies(str(tmp_path), str(tmp_path)), 0.0) == {}


@given(st.binary(max_size=63), st.sampled_from("RSDTtZXI"))
def test_a_state_is_found_behind_any_name(name: bytes, state: str) -> None:
    assert parse_state(b"123 (" + name + b") " + state.encode() + b" 1 123 123 0 -1") == state


@pytest.mark.parametrize("text", [b"", b"123 sh S 1", b"123 (sh)", b"123 (sh) 1"])
def test_malformed_stat_of_a_process_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_state(text)


def processes(root: Path, states: str) -> Path:
    write(root, {f"{pid}/stat": f"{pid} (a) (b)) {state} 1 1 1 0 -1 4194304" for pid, state in enumerate(states, start=1)})
    return write(root, {"loadavg": "0.1 0.2 0.3 2/345 999\n", "self/stat": "1 (x) R", "sys/x": ""})


def test_processes_are_counted_by_state(tmp_path: Path) -> None:
    found = read(ProcessStates(str(processes(tmp_path, "SSIRDTtZZ"))), 0.0)
    assert found == {
        "processes.total": 9,
        "processes.sleeping": 3,
        "processes.uninterruptible": 1,
        "processes.stopped": 2,
        "processes.zombie": 2,
        "processes.threads": 345,
    }


def test_with_hidden_processes_only_the_kernels_own_count_is_sampled(tmp_path: Path) -> None:
    """hidepid=2 leaves Spider's own processes in /proc: a total of them would be a lie."""
    root = processes(tmp_path, "SSS")
    (root / "1/stat").unlink()
    assert read(ProcessStates(str(root)), 0.0) == {"processes.threads": 345}


def test_a_process_that_ended_meanwhile_is_not_counted(tmp_path: Path) -> None:
    root = processes(tmp_path, "SS")
    os.mkdir(root / "77")
    os.mkdir(root / "78")
    (root / "78/stat").touch()
    assert read(ProcessStates(str(root)), 0.0)["processes.total"] == 2


@pytest.mark.parametrize("text", [b"0.1 0.2 0.3\n", b"0.1 0.2 0.3 345 9\n", b"0.1 0.2 0.3 2/x 9\n"])
def test_a_load_without_threads_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_threads(text)
