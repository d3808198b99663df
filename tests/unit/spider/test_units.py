"""The unit files are accepted by systemd, and Spider's sandbox is as tight as documented."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from groundcontrol.nodes.model import UNITS as UNITS_EDITION
from spider.agent import FINISH_LIMIT_S, RECORD_LIMIT_S, SPOOL_LIMIT_S, STOP_LIMIT_S
from spider.jobs.launcher_client import ANSWER_LIMIT_S
from spider.memory_limit import CEILING_BYTES
from spider.root.launcher import FRAME_DEADLINE_S, START_DEADLINE_S, STOPPING_DEADLINE_S
from spider.root.systemctl_shim import CONNECTION_LIMIT_S

UNITS = ("stardust-spider.service", "stardust-launcher.socket", "stardust-launcher@.service", "stardust-job@.service")
pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in UNITS:
        (tmp_path / name).write_bytes((resources.files("majortom") / "remote/units" / name).read_bytes())
    return tmp_path


EDITIONS = {1: "00d03023d397cf7e"}
"""Edition -> the digest of its unit files without their comments. A released edition is never changed: another one is added."""


def test_a_changed_unit_file_needs_a_new_units_edition() -> None:
    texts = [(resources.files("majortom") / "remote/units" / name).read_text() for name in UNITS]
    digest = hashlib.sha256(re.sub(r"(?m)^#.*\n", "", "".join(texts)).encode()).hexdigest()[:16]
    assert f"\nEnvironment=STARDUST_UNITS={UNITS_EDITION}\n" in texts[0]
    assert EDITIONS[UNITS_EDITION] == digest, "raise STARDUST_UNITS and groundcontrol.nodes.model.UNITS, and note the digest here"


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


@pytest.mark.holds("SAFETY-54", "S-49")
def test_spider_and_its_launcher_are_sandboxed(folder: Path) -> None:
    assert exposure(folder, "stardust-spider.service") <= 2.0
    assert exposure(folder, "stardust-launcher@.service") <= 1.5


@pytest.mark.holds("SAFETY-58")
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


def test_the_launcher_ends_by_its_own_limits_before_its_unit_is_ended(folder: Path) -> None:
    own_s = 2 * FRAME_DEADLINE_S + STOPPING_DEADLINE_S + START_DEADLINE_S  # it reads an order and sends an answer
    unit_s = int(re.findall(r"^RuntimeMaxSec=(\d+)$", (folder / "stardust-launcher@.service").read_text(), re.MULTILINE)[0])
    assert own_s + 5 <= unit_s == CONNECTION_LIMIT_S
    assert unit_s + 5 <= ANSWER_LIMIT_S


def test_the_launcher_shares_spider_s_sandbox(folder: Path) -> None:
    spider = set((folder / "stardust-spider.service").read_text().splitlines())
    launcher = set((folder / "stardust-launcher@.service").read_text().splitlines())
    for setting in ("CapabilityBoundingSet=", "NoNewPrivileges=yes", "ProtectSystem=strict", "SystemCallFilter=~@privileged @resources"):
        assert setting in spider & launcher
    # systemd gives a StateDirectory= with all below it to the unit's user: it must never be the folder that has root's records.
    assert "StateDirectory=stardust/spider" in spider


def test_the_service_for_openrc_starts_the_same_program_with_the_same_limits() -> None:
    """Its run is held by tests/system/test_openrc.py; here, that both services stay alike."""
    path = resources.files("majortom") / "remote/units" / "openrc" / "stardust-spider"
    text = path.read_text()
    assert text.startswith("#!/sbin/openrc-run\n")
    done = subprocess.run(["/bin/sh", "-n"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    unit = (resources.files("majortom") / "remote/units" / "stardust-spider.service").read_text()
    settings = dict(re.findall(r"^([a-z_]+)=\"?([^\"\n]*)\"?$", text, re.MULTILINE))
    assert f"ExecStart={settings['command']} {settings['command_args']}" in unit
    assert (settings["command_user"], settings["umask"]) == ("stardust:stardust", re.findall(r"UMask=(\d+)", unit)[0])
    assert settings["respawn_delay"] == re.findall(r"RestartSec=(\d+)", unit)[0]
    for setting, line in (("LimitNOFILE", "ulimit -n "), ("LimitCORE", "ulimit -c "), ("STARDUST_UNITS", "export STARDUST_UNITS="), ("MALLOC_ARENA_MAX", "export MALLOC_ARENA_MAX=")):  # fmt: skip
        assert "\n" + line + re.findall(rf"{setting}=(\d+)", unit)[0] in text
    assert "/var/lib/stardust/spider" in text
    # What systemd does by directives stands in the script, by the name that this program knows for it.
    assert "no-new-privs" in text
    assert int(settings["log_bytes"]) <= 1 << 20


def test_the_launcher_s_service_for_openrc_ends_no_job() -> None:
    text = (resources.files("majortom") / "remote/units" / "openrc" / "stardust-launcher").read_text()
    done = subprocess.run(["/bin/sh", "-n"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nrc_cgroup_cleanup=no\n" in text
    # Package managers would inherit a hard one.
    assert re.findall(r"^ulimit .*-f .*$", text, re.MULTILINE) == ["ulimit -H -f unlimited", "ulimit -S -f 32768"]
    unit = (resources.files("majortom") / "remote/units" / "stardust-launcher@.service").read_text()
    settings = dict(re.findall(r"^([a-z_]+)=\"?([^\"\n]*)\"?$", text, re.MULTILINE))
    assert f"{settings['command']} {settings['command_args']}".replace(" listen", " launch") in unit
    assert settings["umask"] == re.findall(r"UMask=(\d+)", unit)[0]
    assert int(re.findall(r"flock -w (\d+)", text)[0]) == 60 * int(re.findall(r"TimeoutStopSec=(\d+)min", (resources.files("majortom") / "remote/units" / "stardust-job@.service").read_text())[0])  # fmt: skip


def test_the_unit_gives_spider_time_to_end_by_itself(folder: Path) -> None:
    unit = (folder / "stardust-spider.service").read_text()
    limit = int(re.findall(r"^MemoryMax=(\d+)M$", unit, re.MULTILINE)[0]) << 20
    assert limit / 2 >= CEILING_BYTES
    assert "\nRestart=always\n" in unit
    longest_s = FINISH_LIMIT_S + STOP_LIMIT_S + SPOOL_LIMIT_S + RECORD_LIMIT_S
    assert int(re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[0]) > longest_s
    assert "\nSupplementaryGroups=systemd-journal\n" in unit
