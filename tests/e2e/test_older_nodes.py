"""A node of an earlier release against this hub: it knows only the first fields of each message, and no later message kinds."""

from __future__ import annotations

import asyncio
import time

import pytest

from spider.wire.codec import NODE_CODEC, pack, unpack
from spider.wire.frames import KINDS_TO_HUB, Message, Welcome
from spider.wire.job_messages import Bundle, JobAck, JobAnswer, JobDone, JobOutput, JobProgress, JobStart
from tests.support.agent import IDENTITY, agents, layout_of, pack_of
from tests.support.command import stardust
from tests.support.eventually import eventually
from tests.support.hub import HubProcess
from tests.support.invariants import Journal, check_databases, check_samples, held_samples, told_holes
from tests.support.invariants_jobs import NodeSide, check_acknowledged
from tests.support.job_messages import LINE, ended, job_is, order
from tests.support.wire import open_order

FIRST = {5: 8, 6: 1, 7: 2, 8: 3, 9: 1, 20: 2, 21: 2, 22: 1, 23: 2, 24: 1}
"""Fields of what a hub said to nodes in the first release. One more would end the session of a node of that release."""
VERBS = ["refresh", "check", "plan", "upgrade", "full-upgrade", "security-upgrade", "install", "remove", "autoremove", "hold", "unhold"]
_KINDS = {cls: kind for kind, cls in KINDS_TO_HUB.items()}


def as_before(message: Message) -> bytes:
    """Without the fields that were added with a default."""
    kept = [value for name, value in zip(message._fields, message, strict=True) if name not in message._field_defaults]
    return pack([_KINDS[type(message)], kept])


def heard_before(data: bytes) -> Message | None:
    """As an older node reads: kinds it does not know are passed over, fields it does not know end the session."""
    kind, body = unpack(data)
    if kind not in FIRST:
        return None
    assert len(body) <= FIRST[kind], f"a node of the first release would close its session on kind {kind}"
    return NODE_CODEC.decode(data)


@pytest.mark.holds("F-35")
async def test_a_node_of_an_older_release_still_reports_and_finishes_jobs(hub: HubProcess) -> None:
    journal, at = Journal(), time.time() - 10
    [node] = await asyncio.to_thread(hub.enrol, "two-releases-behind")
    async with agents(hub, node) as [agent]:
        assert isinstance(await agent.join(), Welcome)
        assert agent.link is not None
        agent.link._codec = agent.link._codec._replace(encode=as_before, decode=heard_before)
        packs = [pack_of(seq, at=at + seq) for seq in range(2)]
        for seq in range(2):
            journal.measured("pulse", int((at + seq) * 1000), seq * 100)
        await agent.say(IDENTITY._replace(agent_version="0.0.9", policy_verbs=VERBS), layout_of(), *packs)
        await agent.wait_acked(1)
        await eventually(lambda: hub.node(node.node_id)["policy"])
        assert hub.node(node.node_id)["agent"] == "outdated"
        told = await asyncio.to_thread(stardust, hub.folder, "status")
        assert "two-releases-behind (0.0.9); stardust update --outdated updates them" in told.stdout
        assert "0.0.9 (outdated)" in (await asyncio.to_thread(stardust, hub.folder, "nodes")).stdout
        job = await order(hub, node)
        start = await agent.expect(JobStart)
        assert open_order(node.launch_key, start.order).verb == "upgrade"
        answer = JobAnswer(job["id"], "accepted", "", int(time.time() * 1000))
        await agent.say(answer, JobProgress(job["id"], 0, "commit", 40, "curl", ""), JobOutput(job["id"], 0, 0, LINE))
        await agent.expect(JobAck)
        await agent.say(ended(job["id"], LINE))
        await agent.expect(JobDone)
        done = await job_is(hub, job["id"], "succeeded")
        assert done["changes"] == [{"package": "lab-slow", "from": "1.0", "to": "1.1"}]
        # What it cannot do it is never asked for, and it is said why.
        reply = await hub.call("POST", "/api/v1/agent-updates", {"nodes": [node.node_id]})
        [row] = reply.json["deployments"]
        await eventually(lambda: hub.local("GET", f"/api/v1/deployments/{row['id']}").json["ended_at"])
        row = (await hub.call("GET", f"/api/v1/deployments/{row['id']}")).json
        assert (row["state"], row["error"]["code"]) == ("failed", "node.policy_refuses")
        done_again = await asyncio.to_thread(stardust, hub.folder, "update", "--outdated", status=1)
        assert "left out: two-releases-behind (its policy refuses updates)" in done_again.stderr
        assert heard_before(pack([45, list(Bundle(b"", 0, 1, b"x"))])) is None
    check_samples(journal, await held_samples(hub.folder, {"pulse": "load.1"}, at - 10, at + 60), told_holes(hub.folder))
    check_acknowledged(hub.folder, NodeSide(job["id"], 1, LINE, len(LINE)))
    check_databases(hub.folder)


async def test_an_update_of_all_outdated_nodes_waits_for_those_that_return_after_a_restart_of_the_hub(hub: HubProcess) -> None:
    [node] = await asyncio.to_thread(hub.enrol, "comes-back")
    older = IDENTITY._replace(agent_version="0.0.9")
    async with agents(hub, node) as [agent]:
        await agent.join()
        await agent.say(older)
        await eventually(lambda: hub.node(node.node_id)["policy"])
    await hub.stop()
    await hub.start()
    ordered = asyncio.create_task(asyncio.to_thread(stardust, hub.folder, "update", "--outdated", "--no-wait"))
    await asyncio.sleep(1.0)  # the command looks meanwhile, and must not give up
    assert not ordered.done()
    async with agents(hub, node) as [agent]:
        await agent.join()
        await agent.say(older)
        assert "1 ordered" in (await ordered).stderr
