"""Facts of nodes: tables and packages, from Spider to the API."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from spider.reports.package_sync import digest_of, messages
from spider.wire.frames import CLOSE_PROTOCOL
from spider.wire.report_messages import InstalledPackages, PackagesHeld, Table
from spider.wire.sample_messages import Watch
from tests.support.agent import SpiderProcess, TestAgent, agents
from tests.support.eventually import eventually
from tests.support.hub import Enrolled, HubProcess

USERS = ["user", "terminal", "since"]
PACKAGES = {f"package-{number:04}": f"1.{number}" for number in range(5000)}


def packages_of(hub: HubProcess, node: Enrolled, query: str = "") -> Any:
    return hub.local("GET", f"/api/v1/nodes/{node.node_id}/packages{query}").json


def tables_of(hub: HubProcess, node: Enrolled) -> dict[str, Any]:
    answer = hub.local("GET", f"/api/v1/nodes/{node.node_id}/tables").json
    return {table["subject"]: table for table in answer["tables"]}


async def test_a_real_spider_reports_installed_packages(hub: HubProcess, tmp_path: Path) -> None:
    [node] = hub.enrol("this-machine")
    version = await asyncio.to_thread(subprocess.check_output, ["dpkg-query", "-W", "-f=${Version}", "bash"], text=True)
    spider = SpiderProcess(tmp_path / "spider", hub, node)
    try:
        spider.launch()
        await eventually(lambda: packages_of(hub, node)["total"], 30, "no packages arrived")
        found = await asyncio.to_thread(packages_of, hub, node, "?search=bash")
        assert {"name": "bash", "version": version} in found["packages"]
    finally:
        spider.close()


async def test_packages_are_sent_in_parts_and_then_as_differences(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol("many-packages")
    async with agents(shared_hub, node) as [agent]:
        await agent.join()
        assert await agent.expect(PackagesHeld) == PackagesHeld("")
        parts = messages("", digest_of(PACKAGES), sorted(PACKAGES.items()))
        assert len(parts) > 1
        await agent.say(*parts)
        assert await agent.expect(PackagesHeld) == PackagesHeld(digest_of(PACKAGES))
        newer = {**PACKAGES, "package-0000": "2.0"}
        await agent.say(InstalledPackages(digest_of(PACKAGES), digest_of(newer), 0, 1, ["package-0000"], ["2.0"]))
        assert await agent.expect(PackagesHeld) == PackagesHeld(digest_of(newer))
        await agent.say(InstalledPackages("f" * 32, digest_of(PACKAGES), 0, 1, ["package-0000"], ["1.0"]))
        assert await agent.expect(PackagesHeld) == PackagesHeld("")
    found = await asyncio.to_thread(packages_of, shared_hub, node, "?limit=1")
    assert (found["total"], found["packages"]) == (5000, [{"name": "package-0000", "version": "2.0"}])
    events = (await asyncio.to_thread(shared_hub.local, "GET", f"/api/v1/events?node={node.node_id}")).json["events"]
    assert [event["message"] for event in events if event["type"] == "packages_changed"] == ["packages changed on many-packages: 1"]
    async with agents(shared_hub, node) as [again]:
        await again.join()
        assert await again.expect(PackagesHeld) == PackagesHeld(digest_of(newer))


@pytest.mark.holds("S-48")
async def test_a_node_that_changes_its_packages_all_the_time_is_one_event_a_minute(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol("restless")
    state = {"bash": "0"}
    async with agents(shared_hub, node) as [agent]:
        await agent.join()
        await agent.expect(PackagesHeld)
        await agent.say(*messages("", digest_of(state), sorted(state.items())))
        await agent.expect(PackagesHeld)
        for turn in range(1, 21):
            since, state = digest_of(state), {"bash": str(turn)}
            await agent.say(InstalledPackages(since, digest_of(state), 0, 1, ["bash"], [str(turn)]))
            assert await agent.expect(PackagesHeld) == PackagesHeld(digest_of(state))
        path = f"/api/v1/events?node={node.node_id}&type=packages_changed"
        events = (await asyncio.to_thread(shared_hub.local, "GET", path)).json["events"]
        assert 1 <= len(events) <= 2, "twenty changes within a second or two"


@pytest.mark.parametrize(
    "message",
    [
        InstalledPackages("", "f" * 32, 0, 1, ["bash"], ["1"]),
        InstalledPackages("", "f" * 32, 1, 2, ["bash"], ["1"]),
        InstalledPackages("", "f" * 32, 0, 1, ["bash"], []),
        InstalledPackages("", "f" * 32, 0, 0, [], []),
        InstalledPackages("", "short", 0, 1, ["bash"], ["1"]),
        InstalledPackages("", "f" * 32, 0, 1, ["a\x1b[2Jb"], ["1"]),
        InstalledPackages("", "f" * 32, 0, 1, ["x" * 201], ["1"]),
    ],
    ids=["a wrong digest", "no first part", "uneven lists", "no parts", "a digest of no form", "an escape", "a long name"],
)
async def test_invalid_packages_end_the_session(shared_hub: HubProcess, message: InstalledPackages) -> None:
    [node] = await asyncio.to_thread(shared_hub.enrol, f"hostile-packages-{id(message)}")
    async with agents(shared_hub, node) as [agent]:
        await agent.join()
        await agent.say(message)
        assert (await agent.hear_out()).code == CLOSE_PROTOCOL
    assert (await asyncio.to_thread(packages_of, shared_hub, node))["total"] == 0


async def told(agent: TestAgent, hub: HubProcess, *tables: Table) -> None:
    """Say tables, and wait until the hub has gone past them."""
    await agent.say(*tables, InstalledPackages("e" * 32, "f" * 32, 0, 1, [], []))
    assert await agent.expect(PackagesHeld) == PackagesHeld("")
    assert hub.pid


async def test_tables_stay_when_their_node_is_gone_and_of_processes_their_history(shared_hub: HubProcess) -> None:
    [node] = await asyncio.to_thread(shared_hub.enrol, "with-tables")
    processes = Table("processes", 1_790_000_000_000, 1, ["pid", "started_at", "command"], [7, 1_790_000_000_000, "sleep 9"])
    async with agents(shared_hub, node) as [agent]:
        await agent.join()
        await agent.expect(PackagesHeld)
        now = int(time.time())
        past = Table(
            "processes", now * 1000, 1, ["pid", "started_at", "name", "user", "cpu", "memory"], [7, 0, "sl\x1beep", "root", 9125, 4096]
        )
        await told(
            agent,
            shared_hub,
            past,
            processes,
            processes._replace(cells=[7, 1_790_000_000_000, None]),
            Table("users", 1_790_000_000_000, 1, [*USERS, "mood"], ["ro\x1b]52;c;aGk=\x07ot", "tty1", 0, "bad"]),
            Table("of a newer spider", 1_790_000_000_000, 1, ["what"], ["ever"]),
        )
        found = await asyncio.to_thread(tables_of, shared_hub, node)
        assert found["processes"]["rows"] == [[7, 1_790_000_000.0, "sleep 9"]]
    await eventually(lambda: shared_hub.node(node.node_id)["state"] == "offline")
    left = await asyncio.to_thread(tables_of, shared_hub, node)
    assert list(left) == ["users"]
    answer = await asyncio.to_thread(shared_hub.local, "GET", f"/api/v1/nodes/{node.node_id}/processes?at={now}")
    use = {"name": "sleep", "user": "root", "cpu": 91.25, "memory": 4096}
    assert answer.json["reading"] == {"taken_at": now, "by_cpu": [use], "by_memory": [use]}
    assert [column["name"] for column in left["users"]["columns"]] == USERS
    assert left["users"]["rows"] == [["ro]52;c;aGk=ot", "tty1", 0.0]]


async def test_watching_a_node_makes_it_read_its_tables_more_often(shared_hub: HubProcess) -> None:
    [node] = await asyncio.to_thread(shared_hub.enrol, "looked-at")
    token = (await asyncio.to_thread(shared_hub.login)).token
    headers = {"Authorization": f"Bearer {token}"}
    async with agents(shared_hub, node) as [agent], aiohttp.ClientSession(headers=headers) as http:
        await agent.join()
        async with http.ws_connect(f"{shared_hub.url}/api/v1/live") as live:
            await live.send_bytes(msgspec.msgpack.encode(["subscribe", {"topic": f"node:{node.node_id}"}]))
            async with asyncio.timeout(60):
                while "processes" not in (watch := await agent.expect(Watch)).families:
                    pass  # families of samples are watched too
        assert watch.rhythm_s == 5
        assert 1 <= watch.lease_s <= 30
