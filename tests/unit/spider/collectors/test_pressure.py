"""/proc/pressure."""

from __future__ import annotations

from pathlib import Path

import pytest

from spider.sampling.collectors.pressure import Pressure, parse_pressure, stalled_share
from tests.support.recordings import captured, read, write

MACHINE = "recorded/machine/proc"


def text(some_us: int, full_us: int) -> str:
    return f"some avg10=0.00 avg60=0.00 avg300=0.00 total={some_us}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total={full_us}\n"


def test_the_machine_is_read_by_value() -> None:
    assert parse_pressure(captured(MACHINE, "pressure/cpu")) == {"some": 1144620119, "full": 0}
    assert parse_pressure(captured(MACHINE, "pressure/memory")) == {"some": 73310, "full": 32146}


def test_a_share_is_of_the_time_that_passed() -> None:
    assert stalled_share(500_000, 0, 1.0) == 500
    assert stalled_share(1_200_000, 0, 1.0) == 1000, "the kernel settles its totals a little late"
    assert stalled_share(0, 1, 1.0) is None
    assert stalled_share(1, 0, 0.0) is None


def test_each_resource_has_its_own_pressure_series(tmp_path: Path) -> None:
    names = ("cpu", "memory", "io")
    pressure = Pressure(str(write(tmp_path, {f"pressure/{name}": text(100, 0) for name in names})))
    assert pressure.read(0.0) == [None] * 5
    write(tmp_path, {f"pressure/{name}": text(200_100, 50_000) for name in names})
    assert read(pressure, 2.0) == {
        "pressure.cpu_some": 100,
        "pressure.memory_some": 100,
        "pressure.memory_full": 25,
        "pressure.io_some": 100,
        "pressure.io_full": 25,
    }
    write(tmp_path, {"pressure/irq": "full avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"})  # as psi.rst has it since 6.1
    assert read(pressure, 3.0)["pressure.irq_full"] is None
    assert read(pressure, 4.0)["pressure.irq_full"] == 0
    pressure.close()


def test_a_kernel_without_pressure_has_no_such_series(tmp_path: Path) -> None:
    pressure = Pressure(str(tmp_path))
    assert pressure.read(0.0) == []
    assert pressure.series() == []


def test_a_file_that_was_there_and_goes_is_a_failure(tmp_path: Path) -> None:
    pressure = Pressure(str(write(tmp_path, {"pressure/cpu": text(1, 0)})))
    pressure.read(0.0)
    pressure.close()
    (tmp_path / "pressure/cpu").unlink()
    with pytest.raises(FileNotFoundError):
        pressure.read(1.0)


@pytest.mark.parametrize("broken", ["some avg10=0.00\n", "some total=x\n", "some total=99999999999999999999\n"])
def test_malformed_pressure_is_refused(broken: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_pressure(broken.encode())
