"""The agent as a real process, from the zipapp, as on a node."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from spider.wire.report_messages import Identity, InstalledPackages, PackagesHeld
from spider.wire.sample_messages import Layout, Pack, Watch
from tests.support.eventually import eventually
from tests.support.scripted_hub import ScriptedHub
from tests.support.some import some
from tests.support.spider_process import OLD_PYTHONS, agent


@pytest.mark.parametrize(
    "python", ["/usr/bin/python3", *OLD_PYTHONS[:1], *(pytest.param(python, marks=pytest.mark.slow) for python in OLD_PYTHONS[1:])]
)
async def test_an_agent_opens_a_session_and_sigterm_ends_it(bundle_without_manager: Path, python: str) -> None:
    async with ScriptedHub().running() as hub, agent(hub, bundle_without_manager, python) as process:
        await hub.until(lambda: bool(hub.sessions))
        await hub.until(lambda: hub.of(Identity))
        identity = hub.of(Identity)[0]
        assert (identity.policy_mode, identity.policy_verbs) == ("monitor", [])
        assert identity.cpu_cores > 0
        await hub.tell(Watch(["pulse"], 1, 60))
        await hub.until(lambda: sum(len(pack.rows) == 1 for pack in hub.packs) >= 3)
        pulse = next(message for message in hub.of(Layout) if message.family == "pulse")
        assert {"cpu.total", "memory.used", "load.1"} <= set(pulse.series)
        assert hub.of(Pack)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
        assert process.returncode == 0
        assert b"Traceback" not in output
        assert hub.key.hex().encode() not in output


async def test_sigterm_ends_an_agent_that_cannot_reach_its_hub(bundle_without_manager: Path) -> None:
    hub = ScriptedHub()
    async with agent(hub, bundle_without_manager) as process:
        async with asyncio.timeout(60):
            while b"hub_not_reached" not in await some(process.stdout).readline():
                continue
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
        assert process.returncode == 0
        assert b"spider_ends" in output


def open_files(pid: int) -> set[str]:
    folder = f"/proc/{pid}/fd"
    found = set()
    for fd in os.listdir(folder):
        with contextlib.suppress(OSError):  # it was closed meanwhile
            found.add(os.readlink(f"{folder}/{fd}"))
    return found


async def test_a_host_is_measured_before_its_hub_is_there(bundle_without_manager: Path) -> None:
    hub = ScriptedHub()
    async with agent(hub, bundle_without_manager) as process:
        async with asyncio.timeout(60):
            while b"hub_not_reached" not in await some(process.stdout).readline():
                continue
        await eventually(lambda: "/proc/stat" in open_files(process.pid), what="it has not begun to measure")
        await asyncio.sleep(3.0)  # of its own seconds, each of which it measures
        began_ms = time.time() * 1000
        async with hub.running():
            # New samples may arrive before the waiting ones.
            await hub.until(lambda: any(row.taken_at_ms < began_ms for pack in hub.packs for row in pack.rows), limit_s=60.0)


async def test_the_hubs_first_message_is_handled_before_its_module_is_loaded(bundle_without_manager: Path) -> None:
    async with ScriptedHub().running() as hub, agent(hub, bundle_without_manager):
        await hub.until(lambda: bool(hub.sessions))
        await hub.tell(PackagesHeld(""))
        await hub.until(lambda: hub.of(InstalledPackages))


async def test_the_agent_loads_nothing_heavy() -> None:
    code = "import spider.agent, spider.sampling.measurement, sys; print(*sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, env={**os.environ})
    output, _ = await process.communicate()
    loaded = {name.partition(".")[0] for name in output.decode().split()}
    assert not loaded & {
        "aiohttp",
        "asyncssh",
        "sqlite3",
        "groundcontrol",
        "majortom",
        "msgspec",
        "cryptography",
        "psutil",
        "urllib",
        "argparse",
    }
