"""The hub is killed at every durable step of a job, with the agent's own link and jobs: nothing is lost, nothing runs twice."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from groundcontrol.core import failpoints
from spider.config import Config, parse_url
from spider.hub.backoff import Backoff
from spider.hub.link import HubLink
from spider.hub.outbox import Outbox
from spider.jobs.files import PLANNED, REPORT, write_document
from spider.jobs.tracker import Jobs
from spider.packages.plan import Plan, Planned
from spider.packages.plan_file import plan_to_document
from spider.packages.report import Report
from spider.packages.report_file import report_to_document
from spider.wire.frames import Message
from spider.wire.orders import SignedOrder
from tests.support.agent import BOOT
from tests.support.clock import RunningClock
from tests.support.eventually import eventually
from tests.support.fake_launcher import FakeLauncher, FakeRunner, played
from tests.support.hub import Enrolled, HubProcess, Reply
from tests.support.hub_faults import set_fault
from tests.support.invariants_jobs import NodeSide, check_acknowledged, check_database, check_ended

PLAN = Plan((Planned("lab-slow", "1.0", "1.1", "no", "lab"),))
ONCE = [(name, 1) for name in failpoints.NAMES if name.startswith("job.") and not name.startswith("job.output.")]
OFTEN = [(name, count) for name in ("job.output.pre", "job.output.post", "job.output.acked") for count in range(1, 29)]
QUICK = [("job.insert.post", 1), ("job.take.post", 1), ("job.output.post", 3), ("job.end.post", 1)]


class Eager(Backoff):
    """Reconnects immediately: a test has no fleet to protect from."""

    def after(self, *_attempt: object, **_answer: object) -> float:
        return 0.1


class Node:
    """A node with the agent's own link and jobs, and a launcher that plays a package manager."""

    def __init__(self, hub: HubProcess, node: Enrolled, folder: Path) -> None:
        (folder / "jobs").mkdir(parents=True)
        clock = RunningClock()
        self.config = Config(
            url=parse_url(hub.ws_url), fleet=node.fleet_id, tls_pin=None, node=node.node_id, generation=node.generation, name=node.name,
            boot=BOOT, policy_path=str(folder / "policy.conf"), state_dir=str(folder), jobs_dir=str(folder / "jobs"),
            launcher_path=str(folder / "launcher.sock"), key=node.session_key,
        )  # fmt: skip
        self.jobs = Jobs(self.config.jobs_dir, self.config.launcher_path, clock, self._send, boot=BOOT, processes=played)
        self.link = HubLink(self.config, Outbox(clock), self.jobs, clock, Eager())
        self.launcher = FakeLauncher(folder / "launcher.sock", folder / "jobs", node.launch_key, self._work)
        self.runners: dict[str, FakeRunner] = {}

    async def _send(self, message: Message) -> None:
        await self.link.send(message)

    async def _work(self, runner: FakeRunner, order: SignedOrder) -> None:
        self.runners[order.job] = runner
        write_document(str(runner.folder), PLANNED, plan_to_document(PLAN), durable=False)
        for step in range(60):
            runner.say(hashlib.sha256(b"%d" % step).hexdigest().encode() * 20 + b"\r\n")
            runner.progress("commit", step)
            await asyncio.sleep(0.03)
        write_document(str(runner.folder), REPORT, report_to_document(Report(reboot="no")), durable=False)
        runner.end(changes=(("lab-slow", "1.0", "1.1"),))

    def side(self, job: str) -> NodeSide:
        """What this node knows of a job."""
        follow = self.jobs._follows.get(job)
        runner = self.runners.get(job)
        starts = sum(order.job == job for order in self.launcher.orders)
        return NodeSide(job, starts, b"" if runner is None else runner.printed, 0 if follow is None else follow._acked)


@contextlib.asynccontextmanager
async def running(hub: HubProcess, folder: Path) -> AsyncIterator[Node]:
    [enrolled] = await asyncio.to_thread(hub.enrol, "killed")
    node = Node(hub, enrolled, folder)
    async with node.launcher:
        tasks = [asyncio.create_task(node.link.run()), asyncio.create_task(node.jobs.run())]
        try:
            yield node
            assert not any(task.done() for task in tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def order(hub: HubProcess, node: str, key: str) -> Any:
    """Ask for an upgrade; None: the hub died over it."""
    try:
        reply: Reply = hub.local("POST", f"/api/v1/nodes/{node}/jobs", {"action": "upgrade"}, {"Idempotency-Key": key.replace(" ", "-")})
    except (OSError, http.client.HTTPException):
        return None
    assert reply.status == 202, reply.body
    return reply.json


def is_done(hub: HubProcess, made: Any) -> bool:
    """Whether the job has ended already, as far as there is a hub to ask."""
    try:
        return made is not None and hub.job(made["id"])["ended_at"] is not None
    except (OSError, http.client.HTTPException):
        return False


async def kill_at(hub: HubProcess, node: Node, name: str, count: int) -> None:
    """One job, one kill on its way, and everything that must hold."""
    where = f"{name} {count}"
    await asyncio.to_thread(set_fault, hub, "killable", where)
    made = await asyncio.to_thread(order, hub, node.config.node, where)
    await eventually(lambda: not hub.running or is_done(hub, made), 60, f"{where}: neither killed nor done")
    with contextlib.suppress(TimeoutError):  # the last places are behind the end
        await eventually(lambda: not hub.running, 30 if count <= 3 else 2)
    assert not hub.running or count > 3, f"{where} was never reached"
    acked = None if made is None else node.side(made["id"])
    await hub.kill()
    if acked is not None:
        check_acknowledged(hub.folder, acked)
    await hub.start()
    again = await asyncio.to_thread(order, hub, node.config.node, where)
    assert again is not None
    assert made is None or again["id"] == made["id"], "the same request made a second job"
    await eventually(lambda: hub.job(again["id"])["ended_at"] is not None, 60, f"{where}: the job does not end")
    await eventually(lambda: again["id"] not in node.jobs._follows, 30, f"{where}: the node is not told that all is held")
    check_ended(hub.folder, node.side(again["id"]))
    check_database(hub.folder)


async def all_hold(folder: Path, points: list[tuple[str, int]]) -> None:
    hub = HubProcess(folder / "hub", faults=["killable"])
    await hub.start()
    try:
        async with running(hub, folder / "node") as node:
            await eventually(lambda: hub.node(node.config.node)["state"] == "online")
            for name, count in points:
                await kill_at(hub, node, name, count)
            assert len(node.launcher.orders) == len(points)
    finally:
        await asyncio.to_thread(hub.close)


@pytest.mark.holds("SAFETY-73", "SAFETY-77", "F-01")
async def test_a_hub_killed_at_a_step_of_a_job_loses_and_repeats_nothing(tmp_path: Path) -> None:
    await all_hold(tmp_path, QUICK)


@pytest.mark.holds("F-01")
@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_a_hundred_kills_at_every_step_of_a_job_lose_and_repeat_nothing(tmp_path: Path) -> None:
    points = [*ONCE, *OFTEN]
    assert len(points) == 100
    await all_hold(tmp_path, points)
