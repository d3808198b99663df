"""What else patches a host, by its configuration: a timer that is on and does nothing is none, and so are values whose timer is off."""

from __future__ import annotations

from pathlib import Path

import pytest

from spider.sampling.collectors.other_patchers import apt_settings, other_patchers

TIMERS = "etc/systemd/system/timers.target.wants"
APT = {
    "usr/bin/unattended-upgrade": "",
    "usr/lib/systemd/system/apt-daily-upgrade.timer": "",
    f"{TIMERS}/apt-daily-upgrade.timer": "",
    "etc/apt/apt.conf.d/20auto-upgrades": 'APT::Periodic::Update-Package-Lists "1";\nAPT::Periodic::Unattended-Upgrade "1";\n',
}
DNF = {f"{TIMERS}/dnf-automatic.timer": "", "etc/dnf/automatic.conf": "[commands]\napply_updates = yes\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "none"),
        (APT, "unattended-upgrades"),
        ({**APT, f"{TIMERS}/apt-daily-upgrade.timer": None}, "none"),
        ({**APT, "usr/bin/unattended-upgrade": None}, "none"),
        ({**APT, "etc/apt/apt.conf.d/99off": 'APT { Periodic { Unattended-Upgrade "0"; }; };'}, "none"),
        ({**APT, "etc/apt/apt.conf.d/10periodic": '// off\nAPT::Periodic::Enable "0";'}, "none"),
        ({**APT, "etc/apt/apt.conf.d/99off.save": 'APT::Periodic::Enable "0";'}, "unattended-upgrades"),
        ({**APT, f"{TIMERS}/apt-daily-upgrade.timer": None, "usr/lib/systemd/system/apt-daily-upgrade.timer": None, "etc/cron.daily/apt-compat": ""},
         "unattended-upgrades"),
        (DNF, "dnf-automatic"),
        ({**DNF, "etc/dnf/automatic.conf": "[commands]\napply_updates = no\n"}, "none"),
        ({f"{TIMERS}/dnf-automatic-install.timer": ""}, "dnf-automatic"),
        ({f"{TIMERS}/transactional-update.timer": "", "var/lib/snapd/snaps/core_1.snap": ""}, "snap, transactional-update"),
    ],
)  # fmt: skip
def test_what_patches_a_host_besides(files: dict[str, str | None], expected: str, tmp_path: Path) -> None:
    for name, text in files.items():
        if text is not None:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    assert other_patchers(str(tmp_path)) == expected


def test_a_masked_timer_is_off(tmp_path: Path) -> None:
    (tmp_path / TIMERS).mkdir(parents=True)
    (tmp_path / TIMERS / "os-update.timer").touch()
    assert other_patchers(str(tmp_path)) == "os-update"
    (tmp_path / "etc/systemd/system/os-update.timer").symlink_to("/dev/null")
    assert other_patchers(str(tmp_path)) == "none"


def test_settings_of_apt_are_read_flat_and_nested_whatever_else_is_there() -> None:
    text = 'A::B "1"; A { C "2"; D { "x"; "y"; }; }; # A::B "3";\n/* A::B "4"; */ E::F "a;b"; } } broken "'
    assert apt_settings(text) == {"a::b": "1", "a::c": "2", "e::f": "a;b"}
