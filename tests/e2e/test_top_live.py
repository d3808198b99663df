"""`stardust top` over the live socket of a real hub, and over a restart of the hub."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from groundcontrol.cli.dashboard.feed import Feed
from groundcontrol.cli.dashboard.state import Fleet
from tests.support.agent import agents
from tests.support.eventually import eventually
from tests.support.hub import HubProcess

LIMIT_S = 60


async def test_the_dashboard_is_filled_by_the_live_socket_and_again_after_a_restart(tmp_path: Path) -> None:
    fleet = Fleet()
    with HubProcess(tmp_path / "hub") as hub:
        [first] = await asyncio.to_thread(hub.enrol, "web-1")
        args = argparse.Namespace(url=None, data_dir=str(hub.folder), tls_ca=None, tls_pin=None)
        feed = Feed(args, fleet)
        following = asyncio.create_task(feed.run())
        try:
            await eventually(lambda: feed.is_live, LIMIT_S)
            assert [node["name"] for node in fleet.nodes.values()] == ["web-1"]
            [second] = await asyncio.to_thread(hub.enrol, "web-2")
            await eventually(lambda: len(fleet.nodes) == 2, LIMIT_S)
            async with agents(hub, first) as [agent]:
                await agent.join()
                await eventually(lambda: fleet.nodes[first.node_id]["state"] == "online", LIMIT_S)
                await feed.open_node(first.node_id)
                job = await asyncio.to_thread(hub.local, "POST", f"/api/v1/nodes/{first.node_id}/jobs", {"action": "check"})
                assert job.status == 202
                await eventually(lambda: [one["id"] for one in fleet.jobs] == [job.json["id"]], LIMIT_S)
            await asyncio.to_thread(hub.local, "DELETE", f"/api/v1/nodes/{second.node_id}?force=true")
            await eventually(lambda: list(fleet.nodes) == [first.node_id], LIMIT_S)
            await hub.stop()
            await eventually(lambda: not feed.is_live and bool(fleet.trouble), LIMIT_S)
            await hub.start()
            await eventually(lambda: feed.is_live and not fleet.trouble, LIMIT_S)
            assert list(fleet.nodes) == [first.node_id]
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
