"""hwmon and thermal zones, as Documentation/hwmon/sysfs-interface.rst and thermal/sysfs-api.rst describe them."""

from __future__ import annotations

from pathlib import Path

import pytest

from spider.sampling.collectors.sensors import Chips, Temperatures, parse_temperature
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


def test_a_sensor_that_is_not_connected_or_switched_off_is_not_measured(tmp_path: Path) -> None:
    """The end of a register (it87 127, nct6775 127.5, others 255 or -128), the chip's fault flag, and an input that is off."""
    chip = "class/hwmon/hwmon0"
    values = {"name": "nct6775", "temp1_input": "127000", "temp2_input": "127500", "temp3_input": "255000", "temp4_input": "-128000"}
    flagged = {"temp5_input": "48000", "temp5_fault": "1", "temp6_input": "48000", "temp6_enable": "0", "temp7_input": "48000"}
    write(tmp_path, {f"{chip}/{name}": text for name, text in {**values, **flagged, "temp7_fault": "0", "temp7_enable": "1"}.items()})
    temperatures = Temperatures(str(tmp_path))
    assert temperatures.read(0.0) == [None, None, None, None, None, None, 4800]


def test_a_chips_own_limit_counts_if_it_is_plausible(tmp_path: Path) -> None:
    for number, files in enumerate(
        ({"crit": "100000", "max": "80000"}, {"crit": "0", "max": "85000"}, {"crit": "127000", "max": "-1000"}, {})
    ):
        write(tmp_path, {f"class/hwmon/hwmon{number}/name": f"chip{number}", f"class/hwmon/hwmon{number}/temp1_input": "40000"})
        write(tmp_path, {f"class/hwmon/hwmon{number}/temp1_{name}": text for name, text in files.items()})
    temperatures = Temperatures(str(tmp_path))
    read = temperatures.read(0.0)
    values = dict(zip(temperatures.series(), read, strict=True))
    assert {name: value for name, value in values.items() if name.startswith("temperature.limit")} == {
        "temperature.limit{sensor=chip0 temp1}": 10_000,
        "temperature.limit{sensor=chip1 temp1}": 8500,
    }


def test_the_owner_leaves_sensors_out(tmp_path: Path) -> None:
    files = {"name": "nct6775", "temp1_label": "AUXTIN0", "temp2_label": "SYSTIN", "temp1_input": "90000", "temp2_input": "40000"}
    write(tmp_path, {f"class/hwmon/hwmon0/{name}": text for name, text in {**files, "fan1_input": "900", "fan2_input": "0"}.items()})
    temperatures, chips = Temperatures(str(tmp_path), ["nct6775 AUX*"]), Chips(str(tmp_path), ["nct6775 fan2"])
    for collector in (temperatures, chips):
        collector.read(0.0)
    assert temperatures.series() == ["temperature{sensor=nct6775 SYSTIN}"]
    assert chips.series() == ["fan{sensor=nct6775 fan1}"]


def test_a_machine_without_sensors_names_none(tmp_path: Path) -> None:
    temperatures = Temperatures(str(tmp_path))
    assert temperatures.read(0.0) == []
    assert temperatures.series() == []
