"""Messages of jobs, as both ends of a test send them."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import Any

from spider.wire.job_messages import JobEnded, JobStart
from spider.wire.orders import SignedOrder
from tests.support.agent import TestAgent
from tests.support.eventually import eventually
from tests.support.hub import Enrolled, HubProcess
from tests.support.wire import open_order

LINE = b"Setting up lab-slow (1.1) ... \x1b[32mdone\x1b[0m\r\n"


def ended(job: str, output: bytes, state: str = "succeeded", **other: Any) -> JobEnded:
    now_ms = int(time.time() * 1000)
    return JobEnded(
        job, state, 0, 0, len(output), hashlib.sha256(output).hexdigest(), 0, now_ms - 1000, now_ms,
        ["lab-slow"], ["1.0"], ["1.1"], "", "",
    )._replace(**other)  # fmt: skip


async def order(hub: HubProcess, node: Enrolled, action: str = "upgrade", **more: Any) -> Any:
    reply = await hub.call("POST", f"/api/v1/nodes/{node.node_id}/jobs", {"action": action, **more})
    assert reply.status == 202, reply.body
    return reply.json


async def job_is(hub: HubProcess, job_id: str, state: str, limit_s: float = 30.0) -> Any:
    await eventually(lambda: hub.job(job_id)["state"] == state, limit_s, f"the job is not {state}")
    return await asyncio.to_thread(hub.job, job_id)


async def started(hub: HubProcess, agent: TestAgent, **more: Any) -> tuple[str, SignedOrder]:
    """Order an upgrade; returns its id and the message to the node."""
    job = await order(hub, agent.node, **more)
    start = await agent.expect(JobStart)
    assert start.job == job["id"]
    return job["id"], open_order(agent.node.launch_key, start.order)
