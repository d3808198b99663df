"""Key renewal of nodes: on order, killed at each step, and the fate of earlier generations."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import sqlite3
import time
from pathlib import Path

import pytest

from spider.selfcare.rekey import RekeyPaths, main, rekey
from spider.wire.errors import NotProven
from spider.wire.frames import CLOSE_CLONE, CLOSE_UNKNOWN
from spider.wire.ids import new_time_id
from spider.wire.job_messages import JobAnswer, JobStart
from spider.wire.orders import SignedOrder
from spider.wire.proof import rekey_mask
from spider.wire.session import NodeOpening
from tests.support.agent import AgentClosed, SpiderProcess, TestAgent, agents
from tests.support.command import stardust
from tests.support.eventually import eventually
from tests.support.fake_launcher import FakeLauncher, FakeRunner
from tests.support.hub import SECRET, Enrolled, HubProcess
from tests.support.job_messages import ended, job_is, order
from tests.support.null_console import NullConsole
from tests.support.wire import open_order

STEPS = ("former", "keys", "conf.new", "conf", "session.key", "launch.key")
QUICK = ("keys", "conf")
"""One step before the new generation counts, and one after. tests/unit/spider has the files after each."""
KILLED = 7
AWAY_S = 400 * 86_400.0


class Keeper:
    """The root part of a node with the test's own files: it re-keys in a process that ends where a test says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.die_at = ""

    async def work(self, runner: FakeRunner, order: SignedOrder) -> None:
        assert order.verb == "rekey"
        status = await asyncio.to_thread(self._carry_out, order)
        runner.end("succeeded" if status == 0 else "failed", None)

    def _carry_out(self, order: SignedOrder) -> int:
        child = os.fork()
        if child == 0:
            os._exit(self._child(order))
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def _child(self, order: SignedOrder) -> int:
        def reached(step: str) -> None:
            if step == self.die_at:
                os._exit(KILLED)

        return (
            0
            if rekey(order.job, order.args, NullConsole(), RekeyPaths(str(self.folder), os.geteuid()), reached).state == "succeeded"
            else 1
        )


def generation_of(hub: HubProcess, node: Enrolled) -> int:
    found = [row for row in hub.local("GET", "/api/v1/audit?limit=500").json["audit"] if row["action"] == "node.rekeyed"]
    return max((row["detail"]["to"] for row in found if row["target"] == node.node_id), default=1)


async def order_rekey(hub: HubProcess, node: Enrolled) -> str:
    reply = await hub.call("POST", f"/api/v1/nodes/{node.node_id}/rekey")
    assert reply.status == 202, reply.body
    job: str = reply.json["id"]
    return job


async def ends(hub: HubProcess, job: str, spider: SpiderProcess) -> str:
    """How a job ends; Spider, which ends itself for new keys, is started again as its unit would do."""

    def ended() -> bool:
        if spider.process is not None and spider.process.poll() is not None:
            spider.launch()
        return hub.job(job)["ended_at"] is not None

    await eventually(ended, 40, spider.log)
    state: str = hub.job(job)["state"]
    return state


@pytest.mark.holds("SAFETY-50", "S-60", "F-26")
@pytest.mark.timeout(240)
@pytest.mark.parametrize("steps", [QUICK, pytest.param(STEPS, marks=pytest.mark.slow)], ids=["some", "all"])
async def test_a_node_reconnects_after_a_kill_at_any_step_of_a_rekey(hub: HubProcess, tmp_path: Path, steps: tuple[str, ...]) -> None:
    [node] = hub.enrol("keeper")
    spider = SpiderProcess(tmp_path / "spider", hub, node)
    (spider.folder / "launch.key").write_bytes(node.launch_key)
    (spider.folder / "launch.key").chmod(0o600)
    keeper = Keeper(spider.folder)
    generation = 1
    for step in (*steps, ""):
        keys = node_keys_of(hub, node, generation, spider)
        async with FakeLauncher(spider.launcher, spider.jobs, keys, keeper.work):
            spider.launch()
            await eventually(lambda: hub.node(node.node_id)["state"] == "online" and hub.node(node.node_id)["policy"], 30, spider.log)
            keeper.die_at = step
            job = await order_rekey(hub, node)
            became = await ends(hub, job, spider)
            assert became == ("failed" if step else "succeeded"), (step, spider.log)
            await asyncio.to_thread(spider.slay)
            await eventually(lambda: hub.node(node.node_id)["state"] == "offline", 40)
            generation += step not in STEPS[:3]
    spider.launch()
    try:
        await eventually(lambda: hub.node(node.node_id)["state"] == "online", 30, spider.log)
    finally:
        spider.close()
    assert generation_of(hub, node) == generation
    assert sorted(path.name for path in spider.folder.iterdir() if ".key" in path.name) == ["former.keys", "launch.key", "session.key"]
    async with agents(hub, node) as [old]:  # the keys of the first generation
        with pytest.raises(NotProven):
            await old.join()


@pytest.mark.holds("SAFETY-50", "S-60")
async def test_root_reconnects_a_node_that_a_compromised_hub_rekeyed(hub: HubProcess, tmp_path: Path) -> None:
    """An attacker who has the hub for a minute has the launch keys, and can send keys that nobody else will know."""
    [node] = hub.enrol("cut-off")
    spider = SpiderProcess(tmp_path / "spider", hub, node)
    (spider.folder / "launch.key").write_bytes(node.launch_key)
    (spider.folder / "launch.key").chmod(0o600)
    spider.launch()
    try:
        await eventually(lambda: hub.node(node.node_id)["state"] == "online", 30, spider.log)
        places, forged, job = RekeyPaths(str(spider.folder), os.geteuid()), os.urandom(64), new_time_id()
        masked = bytes(left ^ right for left, right in zip(forged, rekey_mask(node.launch_key, job), strict=True))
        args = {"generation": 2, "keys": masked.hex(), "digest": hashlib.sha256(forged).hexdigest()}
        assert rekey(job, args, NullConsole(), places).state == "succeeded"
        assert spider.process is not None
        await asyncio.to_thread(spider.process.wait, 30)  # it sees the other keys, and ends to be started with them
        spider.launch()
        await eventually(lambda: "hub_not_proven" in spider.log, 30, spider.log)
        await eventually(lambda: hub.node(node.node_id)["state"] == "offline", 60)

        assert await asyncio.to_thread(main, ["restore"], places, str(spider.jobs)) == 0
        await asyncio.to_thread(spider.process.wait, 30)  # although it would have tried again in ten minutes only
        spider.launch()
        await eventually(lambda: hub.node(node.node_id)["state"] == "online", 30, spider.log)
    finally:
        spider.close()
    assert generation_of(hub, node) == 1


async def new_keys(agent: TestAgent, start: JobStart) -> Enrolled:
    """Take an order for new keys as root would, and tell that it is done; returns the node with them."""
    node, told = agent.node, open_order(agent.node.launch_key, start.order)
    assert (start.job, told.verb) == (told.job, "rekey")
    masked = bytes.fromhex(told.args["keys"])
    keys = bytes(left ^ right for left, right in zip(masked, rekey_mask(node.launch_key, told.job), strict=True))
    await agent.say(JobAnswer(told.job, "accepted", "", int(time.time() * 1000)))
    await agent.say(ended(told.job, b"", change_packages=[], change_from=[], change_to=[]))
    await job_is(agent.hub, told.job, "succeeded", 30)
    return node._replace(generation=told.args["generation"], session_key=keys[:32], launch_key=keys[32:])


@pytest.mark.holds("SAFETY-49", "S-43", "F-24")
async def test_a_clone_blocks_jobs_until_a_rekey_excludes_it(shared_hub: HubProcess) -> None:
    """It is unknown which of the two is the right machine, so orders wait; new keys for the connected one resolve that."""
    [node] = shared_hub.enrol("twin")
    async with agents(shared_hub, node, node) as [first, clone]:
        await first.join()
        told = asyncio.create_task(first.expect(JobStart, 60))  # and it answers pings meanwhile
        clone.boot = "c" * 32
        with pytest.raises(AgentClosed) as closed:
            await clone.join()
        assert closed.value.code == CLOSE_CLONE
        upgrade = (await order(shared_hub, node))["id"]
        rekeying = await order_rekey(shared_hub, node)
        start = await told
        assert start.job == rekeying
        renewed = await new_keys(first, start)
        assert shared_hub.job(upgrade)["state"] == "queued"
    async with agents(shared_hub, renewed, node) as [first, clone]:
        await first.join()
        assert (await first.expect(JobStart)).job == upgrade
        clone.boot = "c" * 32
        with pytest.raises(NotProven):
            await clone.join()


@pytest.mark.holds("SAFETY-50", "S-60")
async def test_a_handshake_with_former_keys_is_refused_if_the_new_ones_were_used_meanwhile(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol("renewed")
    async with agents(shared_hub, node, node) as [first, former]:
        await first.join()
        await order_rekey(shared_hub, node)
        renewed = await new_keys(first, await first.expect(JobStart))
        await former.connect()
        opening = NodeOpening(node.node_id, node.generation, node.session_key, former.boot, former.host, "0.1.0", [], [], os.urandom(32))
        await former.raw(opening.hello())
        proof, _ = opening.challenge(await former.receive_raw())
        async with agents(shared_hub, renewed) as [successor]:
            await successor.join()
            await former.raw(proof)
            assert (await former.wait_closed()).code == CLOSE_UNKNOWN


@pytest.mark.holds("SAFETY-50", "SAFETY-91", "S-60", "F-28")
async def test_keys_do_not_expire_and_an_old_backup_takes_newer_ones(hub: HubProcess, tmp_path: Path) -> None:
    """After 400 days offline, and with a hub restored from before the new keys."""
    [node] = hub.enrol("traveller")
    backup = tmp_path / "before.stardust-backup"
    await asyncio.to_thread(stardust, hub.folder, "backup", str(backup))
    async with agents(hub, node) as [agent]:
        await agent.join()
        await order_rekey(hub, node)
        renewed = await new_keys(agent, await agent.expect(JobStart))
    async with agents(hub, renewed) as [agent]:
        await agent.join()
    assert generation_of(hub, node) == 2
    hub.end()
    await asyncio.to_thread(stardust, hub.folder, "restore", str(backup), "--replace", env={"STARDUST_SECRET": SECRET})
    with contextlib.closing(sqlite3.connect(hub.folder / "stardust.db")) as database, database:
        database.execute("UPDATE node SET created_at = created_at - ?1, last_seen_at = ?2 - ?1", (AWAY_S, time.time()))
    hub.launch()
    assert generation_of(hub, node) == 1
    async with agents(hub, renewed, node) as [agent, old]:
        await agent.join()
        assert hub.node(node.node_id)["state"] == "online"
        assert generation_of(hub, node) == 2
        with pytest.raises(NotProven):
            await old.join()


def node_keys_of(hub: HubProcess, node: Enrolled, generation: int, spider: SpiderProcess) -> bytes:
    """The launch key that the node has by now."""
    newer = spider.folder / f"launch.key.{generation}"
    return (newer if newer.exists() else spider.folder / "launch.key").read_bytes()
