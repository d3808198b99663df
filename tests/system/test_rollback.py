"""F-22: after an interruption at any point of an installation, the server is restored without help."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.support import fsdiff
from tests.support.cut_deployment import Cutting
from tests.support.deploy_client import any_host
from tests.support.deployer_trial import listening

pytestmark = pytest.mark.system

STEPS = ("connect", "host_key", "authenticate", "become_root", "probe", "upload", "install", "start", "verify")
OFFSETS = (0, 700, 9000)


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
@pytest.mark.parametrize(("step", "offset"), points(("install", 700)))
async def test_a_permanently_cut_connection_leaves_nothing(cutting: Cutting, step: str, offset: int) -> None:
    before = await cutting.look()
    with contextlib.suppress(AssertionError) if step in ("connect", "host_key", "verify") else contextlib.nullcontext():
        await cutting.cut(step, offset)
    await cutting.settle()
    assert fsdiff.difference(before, await cutting.look()) == []


@pytest.mark.slow  # the cut above leaves all to the server's own timer; test_deployer takes back over the connection
@pytest.mark.holds("F-22")
@pytest.mark.parametrize("step", STEPS)
async def test_a_deployment_cut_once_is_rolled_back_immediately_and_the_retry_succeeds(cutting: Cutting, step: str) -> None:
    before = await cutting.look()
    await cutting.cut(step, 0, reachable=True)
    assert fsdiff.difference(before, await cutting.look()) == []


@pytest.mark.slow  # test_deploy kills the hub, and the cut above leaves all to the server's own timer
@pytest.mark.holds("SAFETY-68", "S-57", "F-22")
@pytest.mark.parametrize("step", STEPS)
async def test_a_killed_deployer_leaves_nothing(cutting: Cutting, step: str) -> None:
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
@pytest.mark.timeout(600)
@pytest.mark.parametrize("step", ["upload", "install", "verify"])
async def test_a_server_that_reboots_during_a_deployment_rolls_it_back(cutting: Cutting, step: str) -> None:
    """Its quick sibling is the cut above: the same timer, without a boot between."""
    await cutting.reboot(await cutting.sh("cat /proc/sys/kernel/random/boot_id; systemctl --no-block reboot"))  # what a boot itself leaves
    before = await cutting.look()
    await cutting.cut(step, 700 if step == "install" else 9000 if step == "upload" else 0, rollback_s=REBOOT_ROLLBACK_S)
    await cutting.reboot(await cutting.sh(GOES_DOWN))
    await cutting.settle()
    assert [line for line in fsdiff.difference(before, await cutting.look()) if "/run/sshd.pid" not in line] == []
