"""Major Tom without a hub: a failed verification, a cancellation and a lost connection on a real host."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from majortom.deployer import MajorTom
from majortom.interfaces import DeployError
from majortom.ssh.connect import Limits
from spider.clock import SystemClock
from tests.support.addresses import any_address
from tests.support.deploy_client import any_host
from tests.support.deployer_trial import SESSION_KEY, Notes, Trial, at_once, listening

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def clean_hosts() -> set[str]:
    """Names of hosts that a test has left as it found them, in factory state."""
    return set()


@pytest.fixture
async def trial(request: pytest.FixtureRequest, clean_hosts: set[str]) -> AsyncIterator[Trial]:
    host = any_host(lambda: request.getfixturevalue("lab_hosts")[0])
    if host.name not in clean_hosts:
        await asyncio.to_thread(host.reset)
    clean_hosts.discard(host.name)
    async with listening() as url:
        trial = Trial(host, url)
        yield trial
    if trial.clean:
        clean_hosts.add(host.name)


@pytest.mark.holds("SAFETY-69")
@pytest.mark.parametrize(("user", "password"), [pytest.param("root", None, marks=pytest.mark.slow), ("admin", "lab-admin-pw")])
async def test_a_spider_that_does_not_connect_is_rolled_back(trial: Trial, user: str, password: str | None) -> None:
    before = await trial.look()

    async def wait(seconds: float) -> None:
        await asyncio.sleep(seconds)
        raise TimeoutError

    with pytest.raises(DeployError) as caught:
        await trial.install(wait, trial.target(user, password))
    assert (caught.value.code, caught.value.step) == ("no_session", "verify")
    assert trial.url in caught.value.message
    assert "(the hub" in caught.value.message or "clos" in caught.value.message
    assert trial.notes.lines[-1] == "  verify: everything was taken back: the server is as before"
    await trial.check_as(before)


@pytest.mark.slow  # test_deploy has a hub that the server cannot reach, and the test above the rollback
async def test_an_unreachable_hub_is_reported(trial: Trial) -> None:
    before = await trial.look()
    async with contextlib.AsyncExitStack() as hub:
        trial.url = await hub.enter_async_context(listening())

        async def wait(_seconds: float) -> None:
            await hub.aclose()
            raise TimeoutError

        with pytest.raises(DeployError, match="connection refused") as caught:
            await trial.install(wait)
    assert (caught.value.code, caught.value.step) == ("hub_unreachable", "verify")
    await trial.check_as(before)


@pytest.mark.slow  # the test below cancels at other steps
async def test_a_cancelled_installation_is_rolled_back(trial: Trial) -> None:
    before = await trial.look()
    verifying = asyncio.Event()

    async def wait(_seconds: float) -> None:
        verifying.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(trial.install(wait))
    async with asyncio.timeout(240):
        await verifying.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await trial.check_as(before)


@pytest.mark.holds("F-22")
@pytest.mark.parametrize(
    "step",
    ["probe", "upload", "install", "start"],
)
@pytest.mark.slow  # test_deploy stops the hub in the middle of a start
async def test_an_installation_cancelled_at_any_step_is_rolled_back(trial: Trial, step: str) -> None:
    before = await trial.look()
    task = asyncio.create_task(trial.install(at_once))
    async with asyncio.timeout(240):
        while f"> {step}" not in trial.notes.lines:  # noqa: ASYNC110  # the step may come and go within a turn of the loop
            await asyncio.sleep(0.001)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await trial.check_as(before)


@pytest.mark.holds("S-36")
@pytest.mark.parametrize(
    "alter",
    [
        pytest.param("printf X | dd of=spider.pyz bs=1 seek=5000 conv=notrunc status=none", id="a byte of the bundle"),
        pytest.param("printf X >>policy.conf; sha256sum * | grep -v manifest >manifest", id="a file with its sum", marks=pytest.mark.slow),
        pytest.param("printf '# ' | dd of=manifest bs=1 conv=notrunc status=none", id="the list of sums", marks=pytest.mark.slow),
        pytest.param("ln -sf /etc/shadow spider.conf", id="a link in the place of a file", marks=pytest.mark.slow),
    ],
)
async def test_altered_files_are_not_installed(trial: Trial, alter: str) -> None:
    """A user who can write to the upload's folder gets nothing of it run or stored."""
    before = await trial.look()

    class Altering(Notes):
        async def done(self, step: str, detail: str = "") -> None:
            await super().done(step, detail)
            if step == "upload":
                await trial.sh(f"set -e; cd /tmp/stardust-upload.*; {alter}")

    trial.notes = Altering()
    with pytest.raises(DeployError) as caught:
        await trial.install(at_once)
    assert (caught.value.code, caught.value.step) == ("upload_damaged", "install")
    await trial.check_as(before)


@pytest.mark.slow  # test_rollback cuts connections
async def test_an_interrupted_installation_is_rolled_back_over_a_new_connection(trial: Trial) -> None:
    before = await trial.look()

    async def cut(_seconds: float) -> None:
        await trial.sh("pkill -KILL -f '^sshd: root'")
        raise TimeoutError

    with pytest.raises(DeployError) as caught:
        await trial.install(cut)
    assert caught.value.code in ("connection_lost", "ssh_refused")
    assert trial.notes.lines[-1].endswith("the server is as before")
    await trial.check_as(before)


@pytest.mark.slow  # test_deploy kills the hub, and its retry clears what was left
async def test_a_host_that_goes_down_is_reported_with_its_remains(trial: Trial) -> None:
    limits = Limits(connect_s=10, verify_s=1, undo_s=10, keepalive_s=2)
    trial.major = MajorTom(SystemClock(), any_address, limits)

    async def pull_the_plug(_seconds: float) -> None:
        await asyncio.to_thread(trial.host.net, "drop")
        raise TimeoutError

    try:
        with pytest.raises(DeployError, match="Not everything could be undone"):
            await trial.install(pull_the_plug)
    finally:
        await asyncio.to_thread(trial.host.net, "restore")
    # A later try finds the unfinished installation, clears it away and goes on.
    trial.major = MajorTom(SystemClock(), any_address)
    await trial.install(at_once)
    assert any("removing the rest" in line for line in trial.notes.lines)


@pytest.mark.holds("SAFETY-46", "S-46")
async def test_no_key_is_in_arguments_environment_or_logs_of_the_server(trial: Trial) -> None:
    seen: list[str] = []

    async def look_around(_seconds: float) -> None:
        seen.append(await trial.sh("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'"))
        seen.append(await trial.sh("journalctl -o verbose --no-pager; cat /var/log/*.log /var/log/sudo-io 2>/dev/null"))

    await trial.sh("echo 'Defaults log_input, log_output' > /etc/sudoers.d/log")
    await trial.install(look_around, trial.target("admin", "lab-admin-pw"))
    seen.append(await trial.sh("find /var/log/sudo-io -type f -exec zcat -f {} +"))
    assert "spider.pyz" in seen[0]
    assert "COMMAND=/bin/sh" in seen[1]
    assert "install_spider" in seen[2], "sudo keeps our script here, which is why no key may be in it"
    for text in seen:
        for canary in (SESSION_KEY, "1a" * 32, "lab-admin-pw", "PRIVATE KEY", "\x5e" * 32, "\x1a" * 32):
            assert canary not in text


async def test_a_second_installation_at_the_same_time_is_refused(trial: Trial) -> None:
    refused = asyncio.Semaphore(0)

    async def until_the_others_are_over(_seconds: float) -> None:
        async with asyncio.timeout(240):
            await refused.acquire()
            await refused.acquire()

    async def one() -> None:
        try:
            await trial.install(until_the_others_are_over)
        except DeployError:
            refused.release()
            raise

    outcomes = await asyncio.gather(one(), one(), one(), return_exceptions=True)
    assert sorted(outcome.code if isinstance(outcome, DeployError) else repr(outcome) for outcome in outcomes) == ["None", "busy", "busy"]
