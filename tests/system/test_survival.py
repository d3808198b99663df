"""Kills and lost connections during a real apt-get upgrade on a real host: it continues, is reported completely, and runs once.

Each upgrade ends with a package that waits for the test, so that a kill is always in the middle of it, and so that the same processes
can be observed to continue, and to be followed, afterwards.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.agent_host import JOBS
from tests.support.deployed_host import DeployedHost, Processes
from tests.support.eventually import wait_until
from tests.support.hub import HubProcess
from tests.support.lab import Host

pytestmark = pytest.mark.system

ON_ITS_WAY = 2048
"""Bytes of output that the hub may still be given when the network is gone."""
PACKAGES = ["lab-slow", "lab-hello", "lab-conf", "lab-svc", "lab-gate"]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    with HubProcess(tmp_path / "hub") as process:
        yield process


@pytest.fixture
def node(bare_host: Host, hub: HubProcess) -> Iterator[DeployedHost]:
    """A host in factory state with Spider deployed to it."""
    deployed = DeployedHost(bare_host, hub)
    try:
        deployed.deploy()
        yield deployed
    finally:
        deployed.open_gate()


_TAP = r"""
import os, socket
real, tapped = "/run/stardust/real.sock", "/run/stardust/launcher.sock"
os.rename(tapped, real)
listener = socket.socket(socket.AF_UNIX)
listener.bind(tapped)
os.chown(tapped, os.stat(real).st_uid, os.stat(real).st_gid)
listener.listen(4)
os.close(os.open("/run/tapping", os.O_WRONLY | os.O_CREAT))
client, _ = listener.accept()
order = client.recv(65536)
with open("/run/tapped", "wb") as file:
    file.write(order)
launcher = socket.socket(socket.AF_UNIX)
launcher.connect(real)
launcher.sendall(order)
client.sendall(launcher.recv(65536))
os.rename(real, tapped)
"""
"""Hands one order on to the launcher, and keeps it."""


def begin(node: DeployedHost) -> tuple[str, Processes]:
    """Offer the packages, start their upgrade, and wait until it is in the middle; returns the job and its processes."""
    node.offer_gate()
    node.put("/root/tap.py", _TAP.encode())
    node.host.sh("systemd-run -q --collect --unit=tap python3 /root/tap.py")
    node.wait("test -e /run/tapping")
    job = node.submit("upgrade", PACKAGES)
    node.wait_held(job, b"lab-slow: step 3/")
    row = wait_until(lambda: (row := node.job_row(job))["phase"] == "commit" and row, what="where it stands is told while it prints")
    assert row["state"] == "running"
    assert row["output_bytes"] > 0
    return job, node.processes(job)


def ticks(output: bytes) -> int:
    """How far the last package has counted."""
    return max((int(tick) for tick in re.findall(rb"lab-gate: tick (\d+)\r", output)), default=0)


def wait_followed(node: DeployedHost, job: str, workers: Processes) -> int:
    """Wait until the hub follows the job again, in the same processes; returns how far it has come."""
    seen = ticks(node.log(job)) + 1
    held = node.wait_held(job, b"lab-gate: tick %d\r" % seen)
    assert node.processes(job) == workers
    return len(held)


def finish(node: DeployedHost, job: str) -> None:
    """Let the upgrade end, and hold everything against what the node has."""
    node.open_gate()
    row = node.wait_row(job)
    assert (row["state"], row["exit_code"], row["error"]) == ("succeeded", 0, None), row
    output = node.check_whole(job)
    assert [int(step) for step in re.findall(rb"lab-slow: step (\d+)/100", output)] == list(range(1, 101))
    counted = [int(tick) for tick in re.findall(rb"lab-gate: tick (\d+)\r", output)]
    assert counted == list(range(1, len(counted) + 1))
    assert output.count(b"lab-gate: passed after %d\r" % len(counted)) == 1
    assert {change["package"]: change["to"] for change in row["changes"]} == dict.fromkeys(PACKAGES, "2.0")
    assert {package: node.configured(package) for package in PACKAGES} == dict.fromkeys(PACKAGES, 1)
    order = node.host.read("/run/tapped")
    assert job.encode() in order
    for _ in range(2):
        said = node.hand_in(order)
        assert (said["answer"], said["why"]) == ("refused", "replay")
    node.check_ran_once(job)
    assert (node.record(job)["job"], node.record(job)["verb"]) == (job, "upgrade")


def check_databases(hub: HubProcess) -> None:
    """After any kill the files are sound."""
    files = sorted(hub.folder.glob("*.db"))
    assert len(files) == 2
    for path in files:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        database.close()


@pytest.mark.holds("SAFETY-76", "F-02", "F-06", "F-08", "S-42")
@pytest.mark.parametrize("kills", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_an_upgrade_survives_kills_restarts_and_a_lost_network_and_its_order_cannot_be_replayed(node: DeployedHost, kills: int) -> None:
    """One after the other, while the same processes work on the upgrade. The hub, too, hands over no job twice."""
    hub = node.hub
    job, workers = begin(node)
    for _ in range(kills):
        hub.slay()
        written = node.log_bytes(job)
        assert node.processes(job) == workers
        hub.launch()
        assert node.job_row(job)["state"] == "running"
        assert wait_followed(node, job, workers) > written

    spiders = set()
    for _ in range(2):
        spiders.add(node.host.sh("systemctl show -p MainPID --value stardust-spider.service"))
        node.host.sh("systemctl kill -s KILL stardust-spider.service")
        assert node.processes(job) == workers
        wait_followed(node, job, workers)
    assert len(spiders) == 2

    node.host.net("drop")
    try:
        cut_off = len(node.held(job))
        node.wait(f"test $(stat -c %s {JOBS}/{job}/log) -gt {cut_off + 2 * ON_ITS_WAY}")
        assert node.processes(job) == workers
        assert len(node.held(job)) < cut_off + ON_ITS_WAY
    finally:
        node.host.net("restore")
    wait_followed(node, job, workers)

    assert hub.end() == 0
    assert node.processes(job) == workers
    hub.launch()
    wait_followed(node, job, workers)
    finish(node, job)
    node.host.sh("systemctl restart stardust-spider.service")
    wait_until(lambda: node.job_row(job)["state"] == "succeeded", what="the job is as it was")
    node.wait_online()
    assert node.check_whole(job)
    assert hub.end() == 0
    check_databases(hub)
