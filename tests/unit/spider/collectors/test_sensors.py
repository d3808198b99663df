"""hwmon and thermal zones, as Documentation/hwmon/sysfs-interface.rst and thermal/sysfs-api.rst describe them."""

from __future__ import annotations

from pathlib import Path

import pytest

from spider.sampling.collectors.sensors import Temperatures, parse_temperature
from tests.support.recordings import write


@pytest.mark.parametrize(("text", "value"), [("45000", 4500), ("45125", 4512), ("-5000", -500), ("255000", None), ("-128000", None)])
def test_millidegrees_become_hundredths_of_degrees(text: str, value: int | None) -> None:
    assert parse_temperature(text) == value


@pytest.mark.parametrize("text", ["", "hot", "1.5", "9" * 50])
def test_malformed_temperature_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_temperature(text)


def test_chips_come_by_label_and_zones_that_are_chips_once(tmp_path: Path) -> None:
    hwmon, thermal = "class/hwmon/hwmon", "class/thermal/thermal_zone"
    write(
        tmp_path,
        {
            f"{hwmon}0/name": "coretemp\n",
            f"{hwmon}0/temp2_input": "41000\n",
            f"{hwmon}0/temp2_label": "Core 0\n",
            f"{hwmon}0/temp10_input": "42000\n",
            f"{hwmon}0/temp1_input": "43000\n",
            f"{hwmon}0/temp1_label": "Package id 0\n",
            f"{hwmon}1/name": "acpitz\n",
            f"{hwmon}1/temp1_input": "27800\n",
            f"{thermal}0/type": "acpitz\n",
            f"{thermal}0/temp": "27800\n",
            f"{thermal}1/type": "x86_pkg_temp\n",
            f"{thermal}1/temp": "44000\n",
            "class/thermal/cooling_device0/type": "Processor\n",
        },
    )
    temperatures = Temperatures(str(tmp_path))
    values = temperatures.read(0.0)
    assert dict(zip(temperatures.series(), values, strict=True)) == {
        "temperature{sensor=coretemp Package id 0}": 4300,
        "temperature{sensor=coretemp Core 0}": 4100,
        "temperature{sensor=coretemp temp10}": 4200,
        "temperature{sensor=acpitz temp1}": 2780,
        "temperature{sensor=x86_pkg_temp}": 4400,
    }


def test_two_chips_of_one_name_are_distinguished_by_their_device(tmp_path: Path) -> None:
    for number in (0, 1):
        write(tmp_path, {f"class/hwmon/hwmon{number}/name": "nvme", f"class/hwmon/hwmon{number}/temp1_input": f"{30 + number}000"})
        write(tmp_path, {f"devices/nvme{number}/x": ""})
        (tmp_path / f"class/hwmon/hwmon{number}/device").symlink_to(f"../../../devices/nvme{number}")
    temperatures = Temperatures(str(tmp_path))
    temperatures.read(0.0)
    assert temperatures.series() == ["temperature{sensor=nvme temp1 (nvme0)}", "temperature{sensor=nvme temp1 (nvme1)}"]


def test_a_sensor_that_does_not_answer_is_null(tmp_path: Path) -> None:
    write(tmp_path, {"class/hwmon/hwmon0/name": "drivetemp", "class/hwmon/hwmon0/temp1_input": ""})
    temperatures = Temperatures(str(tmp_path))
    assert temperatures.read(0.0) == [None]


def test_a_machine_without_sensors_names_none(tmp_path: Path) -> None:
    temperatures = Temperatures(str(tmp_path))
    assert temperatures.read(0.0) == []
    assert temperatures.series() == []
