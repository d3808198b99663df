"""The unit files are accepted by systemd, and Spider's sandbox is as tight as promised."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

UNITS = ("stardust-spider.service", "stardust-launcher.socket", "stardust-launcher@.service", "stardust-job@.service")
pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in UNITS:
        (tmp_path / name).write_bytes((resources.files("majortom") / "units" / name).read_bytes())
    return tmp_path


def exposure(folder: Path, unit: str) -> float:
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", str(folder / unit)], capture_output=True, text=True, check=True)
    match = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert match is not None, done.stdout
    return float(match[1])


def test_systemd_accepts_every_unit(folder: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(folder / name) for name in UNITS)], capture_output=True, text=True, check=False
    )
    about_ours = [line for line in done.stderr.splitlines() if "stardust" in line]
    assert about_ours == []
    assert done.returncode == 0, done.stderr


def test_spider_and_its_launcher_are_boxed_in(folder: Path) -> None:
    assert exposure(folder, "stardust-spider.service") <= 2.0
    assert exposure(folder, "stardust-launcher@.service") <= 1.5


def test_a_job_is_never_killed_with_its_unit(folder: Path) -> None:
    job = (folder / "stardust-job@.service").read_text()
    for line in (
        "KillMode=process",
        "SendSIGKILL=no",
        "RefuseManualStop=yes",
        "Restart=no",
        "UMask=0022",
        "CollectMode=inactive-or-failed",
    ):
        assert f"\n{line}\n" in job
    for setting in ("User=", "Group=", "RuntimeMaxSec="):
        assert not re.search(rf"^{setting}", job, re.MULTILINE)


def test_the_launcher_shares_spider_s_sandbox(folder: Path) -> None:
    spider = set((folder / "stardust-spider.service").read_text().splitlines())
    launcher = set((folder / "stardust-launcher@.service").read_text().splitlines())
    for setting in ("CapabilityBoundingSet=", "NoNewPrivileges=yes", "ProtectSystem=strict", "SystemCallFilter=~@privileged @resources"):
        assert setting in spider & launcher
    # systemd gives a StateDirectory= with all below it to the unit's user: it must never be the folder that has root's records.
    assert "StateDirectory=stardust/spider" in spider
