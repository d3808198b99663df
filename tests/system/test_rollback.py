"""F-22: whatever cuts an installation off, and wherever, the server becomes as it was, with nobody's help."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import pytest

from majortom.base import DeployError, Secret, Target
from majortom.connect import Limits
from majortom.deployer import MajorTom
from spider.clock import SystemClock
from tests.support import fsdiff
from tests.support.addresses import any_address
from tests.support.cut_deployment import Wire
from tests.support.deploy_client import any_host
from tests.support.lab import ROOT
from tests.system.test_deployer import FLEET, Notes, Trial, listening

pytestmark = pytest.mark.system

ROLLBACK_S = 12.0
"""Instead of ten minutes; still longer than a step of a busy machine, or the server would take things back under the deployer's hands."""
STEPS = ("connect", "host_key", "authenticate", "become_root", "probe", "upload", "install", "start", "verify")
OFFSETS = (0, 700, 9000)
BOOT_LIMIT_S = 120.0
SETTLED = """
set +e
steady=0 tries=0
while [ $steady -lt 10 ] && [ $tries -lt 600 ]; do
    tries=$((tries + 1))
    if [ -e /var/lib/stardust ] || systemctl list-units --all --plain --no-legend 'stardust*' | grep -q .; then steady=0; else steady=$((steady + 1)); fi
    sleep 0.1
done
pgrep -af 'sh -s|sftp-server|/var/lib/stardust/rollback'
echo "tries $tries"
"""


class Cutting(Trial):
    """Installs through a wire that is cut."""

    async def settle(self) -> None:
        """Wait until nothing of an installation is there or at work any more."""
        assert "tries 600" not in await self.sh(SETTLED)

    async def reboot(self, boot: str) -> None:
        """Wait until a host that was asked to go down has come up. A question that is asked while it goes down hangs.

        Args: boot: the id of the boot that ends.
        """
        ends_at = time.monotonic() + BOOT_LIMIT_S
        question = ("/bin/sh", "-c", "cat /proc/sys/kernel/random/boot_id; systemctl is-system-running")
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                told = (await asyncio.to_thread(self.host.run, *question, check=False, timeout_s=5)).stdout.split()
                if len(told) == 2 and told[0] != boot.strip() and told[1] in ("running", "degraded"):
                    return
            assert time.monotonic() < ends_at
            await asyncio.sleep(0.2)

    async def cut(self, step: str, offset: int, *, reachable: bool = False, user: str = "admin", rollback_s: float = ROLLBACK_S) -> str:
        """Install, and lose the connection so many bytes into a step; returns the code."""
        async with Wire(self.host.address, self.host.port) as wire:
            wire.reachable = reachable

            class Cutter(Notes):
                async def started(self, name: str) -> None:
                    await super().started(name)
                    if name == step:
                        wire.cut_after(offset)

            self.notes = Cutter()
            self.major = MajorTom(SystemClock(), any_address, Limits(verify_s=5, rollback_s=rollback_s))
            target = Target("127.0.0.1", wire.port, user, Secret(self.host.private_key()), None, None, Secret("lab-admin-pw"), None, None)

            async def wait(_seconds: float) -> None:
                if step == "verify" and wire.cuts == 0:
                    wire.cut_after(0)
                raise TimeoutError

            with pytest.raises(DeployError) as caught:
                await self.install(wait, target)
            assert wire.cuts, "the step was over before that many bytes were sent"
            return caught.value.code

    async def kill(self, step: str) -> None:
        """Install in another process, and kill that at the beginning of a step."""
        asked = {
            "host": self.host.address, "port": self.host.port, "user": "admin", "key": self.host.private_key(), "sudo": "lab-admin-pw",
            "url": self.url, "fleet": FLEET, "rollback_s": ROLLBACK_S,
            "conf": f"[hub]\nurl = {self.url}\nfleet = {FLEET}\n\n[node]\nid = {FLEET}\ngeneration = 1\nname = trial\n",
            "policy": "[policy]\nversion = 1\nmode = managed\n",
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.cut_deployment", cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(asked).encode())
            process.stdin.close()
            async with asyncio.timeout(60):
                while (await process.stdout.readline()).decode().strip() != step:
                    assert not process.stdout.at_eof(), f"it never came to {step}"
        finally:
            process.kill()
            await process.wait()


@pytest.fixture(scope="module")
def host_of_module(request: pytest.FixtureRequest) -> object:
    host = any_host(lambda: request.getfixturevalue("lab_hosts")[0])
    host.reset()
    return host


@pytest.fixture
async def cutting(host_of_module: object) -> AsyncIterator[Cutting]:
    """Each test here leaves the host as it was, or fails."""
    async with listening() as url:
        yield Cutting(host_of_module, url)  # type: ignore[arg-type]  # a Host


def points(*quick: tuple[str, int]) -> list[object]:
    """Every step with every offset; all but the quick ones take their time with --slow."""
    every = [(step, offset) for step in STEPS for offset in OFFSETS]
    return [pytest.param(*point, marks=() if point in quick else pytest.mark.slow, id=f"{point[0]}+{point[1]}") for point in every]


@pytest.mark.holds("SAFETY-68", "S-57", "F-22")
@pytest.mark.parametrize(("step", "offset"), points(("upload", 9000), ("install", 700)))
async def test_a_connection_that_is_cut_for_good_leaves_nothing(cutting: Cutting, step: str, offset: int) -> None:
    before = await cutting.look()
    with contextlib.suppress(AssertionError) if step in ("connect", "host_key", "verify") else contextlib.nullcontext():
        await cutting.cut(step, offset)
    await cutting.settle()
    assert fsdiff.difference(before, await cutting.look()) == []


@pytest.mark.holds("F-22")
@pytest.mark.parametrize("step", [pytest.param(step, marks=() if step == "install" else pytest.mark.slow) for step in STEPS])
async def test_a_connection_that_is_cut_once_is_made_good_at_once_and_the_retry_succeeds(cutting: Cutting, step: str) -> None:
    before = await cutting.look()
    await cutting.cut(step, 0, reachable=True)
    assert fsdiff.difference(before, await cutting.look()) == []


@pytest.mark.holds("SAFETY-68", "S-57", "F-22")
@pytest.mark.parametrize("step", [pytest.param(step, marks=() if step == "verify" else pytest.mark.slow) for step in STEPS])
async def test_a_deployer_that_is_killed_leaves_nothing(cutting: Cutting, step: str) -> None:
    before = await cutting.look()
    await cutting.kill(step)
    await cutting.settle()
    assert fsdiff.difference(before, await cutting.look()) == []


REBOOT_ROLLBACK_S = 15.0
"""Long enough that the server goes down half installed, whatever else this machine does."""
GOES_DOWN = """
test -e /var/lib/stardust/installed
! grep -qx complete /var/lib/stardust/installed
test -e /etc/systemd/system/timers.target.wants/stardust-rollback.timer
cat /proc/sys/kernel/random/boot_id
systemctl --no-block reboot
"""


@pytest.mark.holds("SAFETY-68", "F-22")
@pytest.mark.slow
@pytest.mark.timeout(360)
@pytest.mark.parametrize("step", ["upload", "install", "verify"])
async def test_a_server_that_reboots_in_the_middle_takes_everything_back_after_it(cutting: Cutting, step: str) -> None:
    """Its quick sibling is the cut above: the same timer, without a boot between."""
    await cutting.reboot(await cutting.sh("cat /proc/sys/kernel/random/boot_id; systemctl --no-block reboot"))  # what a boot itself leaves
    before = await cutting.look()
    await cutting.cut(step, 700 if step == "install" else 9000 if step == "upload" else 0, rollback_s=REBOOT_ROLLBACK_S)
    await cutting.reboot(await cutting.sh(GOES_DOWN))
    await cutting.settle()
    assert [line for line in fsdiff.difference(before, await cutting.look()) if "/run/sshd.pid" not in line] == []
