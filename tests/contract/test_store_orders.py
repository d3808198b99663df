"""The hub counts orders for many nodes as a whole, and names what ids stand for, in one organisation and within the caller's grants."""

from __future__ import annotations

from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.scope import Grants
from groundcontrol.deployments.model import DeploymentError
from groundcontrol.events.model import Order
from groundcontrol.jobs.model import JobError, JobUpdate
from groundcontrol.jobs.plans import Report
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, connect, new_batch, new_deployment, new_node

ELSEWHERE = SCOPE._replace(org=7)


async def test_an_order_is_counted_as_a_whole_within_the_callers_grants(store: Store, clock: ManualClock) -> None:
    nodes = [await store.nodes.create_node(SCOPE, new_node(f"web-{at}")) for at in range(3)]
    batch = await store.batches.create_batch(SCOPE, new_batch([node.id for node in nodes], clock.now()), None)
    session = await connect(store, nodes[0].id)
    first, second, _ = await store.batches.jobs_of(SCOPE, batch.id)
    await store.jobs.take([first.id], [session], clock.now())
    await store.jobs.advance(
        first.id, "failed", session, JobUpdate(exit_code=100, error=JobError("job.packages_broken", "nginx is broken"))
    )
    await store.jobs.stop_job(SCOPE, second.id)
    order = Order(batch.id, "jobs", "upgrade", None, SCOPE.actor.name, {"cancelled": 1, "failed": 1, "queued": 1})
    assert await store.orders.orders(SCOPE, [batch.id, "unknown"]) == [order]
    limited = SCOPE._replace(grants=(Grants(nodes=(nodes[0].id,)),))
    assert await store.orders.orders(limited, [batch.id]) == [order._replace(states={"failed": 1})]
    assert await store.orders.orders(ELSEWHERE, [batch.id]) == []
    assert await store.orders.orders(SCOPE, []) == []
    [end] = [row for row in (await store.log.audit(SCOPE, 50)).items if row.action == "job.failed"]
    assert end.detail["why"] == "nginx is broken"
    subjects = await store.orders.subjects(SCOPE, [first.id, nodes[1].id, batch.id, "unknown"])
    assert (subjects[first.id].name, subjects[first.id].action) == ("web-0", "upgrade")
    assert (subjects[first.id].by, subjects[first.id].order) == (SCOPE.actor.name, batch.id), "though the node told its end"
    assert subjects[nodes[1].id].name == "web-1"
    assert subjects[batch.id].order == batch.id
    assert "unknown" not in subjects
    assert await store.orders.subjects(ELSEWHERE, [first.id, nodes[1].id, batch.id]) == {}


async def test_a_reboot_after_which_something_is_missing_is_counted_as_incomplete(store: Store, clock: ManualClock) -> None:
    nodes = [(await store.nodes.create_node(SCOPE, new_node(f"web-{at}"))).id for at in range(2)]
    batch = await store.batches.create_batch(SCOPE, new_batch(nodes, clock.now(), "reboot"), None)
    notes = ("File systems that were mounted before the reboot and are not now: /data.",), ()
    for job, said in zip(await store.batches.jobs_of(SCOPE, batch.id), notes, strict=True):
        session = await connect(store, job.node_id)
        await store.jobs.take([job.id], [session], clock.now())
        await store.jobs.save_report(job.id, Report("no", "", (), (), (), said), session)
        await store.jobs.advance(job.id, "succeeded", session, JobUpdate(exit_code=0))
    [order] = await store.orders.orders(SCOPE, [batch.id])
    assert order.states == {"succeeded": 1, "incomplete": 1}


async def test_deployments_of_one_order_are_counted_also_those_without_a_node(store: Store, clock: ManualClock) -> None:
    wanted = [
        new_deployment(clock.now() + at, f"192.0.2.{at}", f"db-{at}")._replace(batch="0" * 26, created_by=SCOPE.actor.name)
        for at in range(3)
    ]
    made = await store.deployments.create_deployments(SCOPE, wanted)
    failed = made[0]._replace(
        state="failed", error=DeploymentError("port_closed", "nothing listens on port 22", "connect"), ended_at=clock.now()
    )
    await store.deployments.save_deployment(SCOPE, failed)
    [order] = await store.orders.orders(SCOPE, ["0" * 26])
    assert order == Order("0" * 26, "deployments", "install", None, SCOPE.actor.name, {"failed": 1, "running": 2})
    assert await store.orders.orders(ELSEWHERE, ["0" * 26]) == []
    [subject] = (await store.orders.subjects(SCOPE, [made[1].id])).values()
    assert (subject.name, subject.by, subject.order) == ("db-1", SCOPE.actor.name, "0" * 26)
    [end] = [row for row in (await store.log.audit(SCOPE, 50)).items if row.action == "deployment.failed"]
    assert end.detail["why"] == "nothing listens on port 22"
