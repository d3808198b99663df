"""The hub and its data folder are lost: a new hub made from the printed key has all nodes again, without logging in to them."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from spider.wire.frames import CLOSE_UNKNOWN
from tests.support.agent import AgentClosed, SpiderProcess, agents
from tests.support.command import WITH_SECRET, command
from tests.support.eventually import eventually
from tests.support.fake_launcher import FakeLauncher, FakeRunner
from tests.support.hub import HubProcess
from tests.support.job_messages import LINE, job_is, order


@pytest.mark.holds("SAFETY-51", "S-59", "F-27", "F-28")
@pytest.mark.timeout(240)
async def test_a_hub_that_was_built_again_has_all_nodes_again(tmp_path: Path) -> None:
    async def short(runner: FakeRunner, _order: object) -> None:
        runner.say(LINE)
        runner.end()

    hub = HubProcess(tmp_path / "hub")
    await hub.start()
    nodes = await asyncio.to_thread(hub.enrol, "web-1", "web-2")
    spiders = [SpiderProcess(tmp_path / node.name, hub, node) for node in nodes]
    try:
        for spider in spiders:
            spider.launch()
        await eventually(lambda: all(hub.node(node.node_id)["policy"] for node in nodes), 40)
        printed = await asyncio.to_thread(command, hub.folder, "recovery", "print", env=WITH_SECRET)
        assert printed.returncode == 0, printed.stderr
        key = printed.stdout.strip()
        refused = await asyncio.to_thread(command, hub.folder, "recovery", "print", env=WITH_SECRET)
        assert (refused.returncode, refused.stdout) == (6, "")
        assert "printed before" in refused.stderr
        assert key not in hub.output
        for path in hub.folder.rglob("*"):
            assert not path.is_file() or key.replace("-", "").encode() not in path.read_bytes()

        await hub.kill()
        shutil.rmtree(hub.folder)
        mistyped = key[:-1] + ("A" if key[-1] != "A" else "B")
        wrong = await asyncio.to_thread(command, hub.folder, "recovery", "restore", given=mistyped, env=WITH_SECRET)
        assert (wrong.returncode, hub.folder.exists()) == (1, False), wrong.stderr
        assert "not a recovery key" in wrong.stderr
        restored = await asyncio.to_thread(command, hub.folder, "recovery", "restore", given=key.lower() + "\n", env=WITH_SECRET)
        assert restored.returncode == 0, restored.stderr
        again = await asyncio.to_thread(command, hub.folder, "recovery", "restore", given=key, env=WITH_SECRET)
        assert again.returncode == 1
        await hub.start()
        for spider in spiders:  # each would come by itself, within eleven minutes
            spider.close()
            spider.launch()
        await eventually(
            lambda: {node["id"] for node in hub.local("GET", "/api/v1/nodes").json["nodes"]} == {node.node_id for node in nodes}, 40
        )
        await eventually(lambda: all(hub.node(node.node_id)["policy"] for node in nodes), 40)
        names = {hub.node(node.node_id)["name"] for node in nodes}
        assert os.uname().nodename in names  # both are this machine: the second keeps the name that it was given
        async with FakeLauncher(spiders[0].launcher, spiders[0].jobs, nodes[0].launch_key, short):
            job = await order(hub, nodes[0], "refresh")
            await job_is(hub, job["id"], "succeeded", 30)

        # Removed nodes stay outside, and so do all new ones once it is over.
        assert hub.local("DELETE", f"/api/v1/nodes/{nodes[1].node_id}?force=true").status == 202
        await eventually(lambda: len(hub.local("GET", "/api/v1/nodes").json["nodes"]) == 1)
        async with agents(hub, nodes[1]) as [removed]:
            with pytest.raises(AgentClosed) as told:
                await removed.join()
            assert told.value.code == CLOSE_UNKNOWN
        assert len(hub.local("GET", "/api/v1/nodes").json["nodes"]) == 1
        ended = await asyncio.to_thread(command, hub.folder, "recovery", "end", env=WITH_SECRET)
        assert ended.returncode == 0, ended.stderr
    finally:
        for spider in spiders:
            spider.close()
        hub.close()


def test_a_fleet_is_not_restored_into_a_folder_in_memory(tmp_path: Path) -> None:
    folder = Path("/dev/shm") / tmp_path.name / "hub"
    done = command(folder, "recovery", "restore", env={**WITH_SECRET, "STARDUST_ALLOW_VOLATILE": "no"})
    assert "is in memory (tmpfs)" in done.stderr
    assert (done.returncode, folder.exists()) == (1, False)
