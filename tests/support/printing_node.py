"""A node that prints job output, plans and reports, stored through the hub's own services."""

from __future__ import annotations

from groundcontrol.core.bus import JobOutputArrived
from groundcontrol.core.ids import BootId, HubId, JobId
from groundcontrol.jobs.model import Job, JobRequest, JobUpdate, NewJob
from groundcontrol.jobs.plans import ConfigFile, KeptBack, PlanHead, PlanPart, PlanStep, Report
from groundcontrol.nodes.model import Node, Session
from spider.wire.ids import new_time_id
from tests.support.inprocess_hub import ADMIN, LiveSocket, TestHub

PLAN = PlanPart(
    0, 1, PlanHead("a" * 64, 1000, 500, "no", ""), (PlanStep("curl", "1", "2", "yes", "main"), PlanStep("old", "1", "", "no", "")),
    (KeptBack("vim", "9", "held"),),
)  # fmt: skip
REPORT = Report("yes", "a new kernel", ("nginx.service",), (ConfigFile("/etc/x.dpkg-dist", "-a\n+b\n"),), (), ("a note",))


async def tell_plan_and_report(hub: TestHub, session: Session, job: JobId) -> None:
    """The node hands over both."""
    await hub.store.jobs.take([job], [session], hub.clock.now())
    await hub.store.jobs.save_plan(job, PLAN, session)
    await hub.store.jobs.save_report(job, REPORT, session)


class Printing:
    """A job of a node that is connected, and what it prints."""

    def __init__(self, hub: TestHub, node: Node, session: Session, job: Job) -> None:
        self.hub, self.node, self.session, self.job = hub, node, session, job
        self.printed = b""

    @classmethod
    async def start(cls, hub: TestHub) -> Printing:
        node = await hub.node()
        session = await hub.store.sessions.claim(node.id, BootId("0" * 32), HubId(hub.services.hub_id))
        now = hub.clock.now()
        wish = NewJob(JobId(new_time_id()), node.id, JobRequest("upgrade"), now, now + 600)
        job = await hub.store.jobs.create_job(ADMIN, wish, None)
        await hub.store.jobs.take([job.id], [session], now)
        await hub.store.jobs.advance(job.id, "accepted", session, JobUpdate())
        return cls(hub, node, session, await hub.store.jobs.advance(job.id, "running", session, JobUpdate()))

    async def print(self, data: bytes, *, told: bool = True) -> None:
        offset = len(self.printed)
        self.printed += data
        await self.hub.store.jobs.append_output(self.job.id, offset, data, self.session)
        if told:
            self.hub.bus.publish(JobOutputArrived(self.job.id, offset, data))


async def collect(live: LiveSocket, until: int, start: int = 0) -> bytes:
    """Output up to an offset; every chunk must join the one before."""
    got, at = b"", start
    while at < until:
        kind, body = await live.next()
        assert kind == "change", body
        if "output" in body["data"]:
            assert body["data"]["offset"] == at
            got += body["data"]["output"]
            at += len(body["data"]["output"])
            assert body["seq"] == at
    return got
