"""Updates on the store's own rows: a node that is removed or an update that is cancelled ends only its own update."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from groundcontrol.core.errors import StoreBusy, StoreError
from groundcontrol.core.ids import BootId, HubId, NodeId
from groundcontrol.deployments import transitions
from groundcontrol.deployments.agent_updates import UpdateService, WaitOnline
from groundcontrol.deployments.limits import PATIENCE_S
from groundcontrol.deployments.model import Deployment, DeploymentError
from groundcontrol.jobs.model import JobError, JobUpdate
from groundcontrol.jobs.service import JobService
from groundcontrol.nodes.model import NewNode, Session
from spider.clock import SystemClock
from spider.wire.ids import new_random_id
from tests.support.background import in_background
from tests.support.deployment_desk import ADMIN, Desk, hanging, node_with
from tests.support.eventually import eventually


async def at_once(_node: NodeId, _timeout_s: float) -> None:
    """Every node is here."""


async def away(_node: NodeId, timeout_s: float) -> None:
    """None is."""
    async with asyncio.timeout(timeout_s):
        await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def updating(desk: Desk, online: WaitOnline = at_once, patience_s: float = PATIENCE_S) -> AsyncIterator[UpdateService]:
    """The service; whatever happens to one update, it has to be alive at the end."""
    orders = JobService(desk.store, desk.bus, SystemClock(), 10)
    service = UpdateService(desk.store, desk.bus, SystemClock(), desk.bundle, orders.new_selfcare, online, patience_s, 0.05)
    async with in_background(service.run()) as life:
        await service.ready.wait()
        yield service
        await asyncio.sleep(0)
        assert not life.done(), "an update has ended the hub"


async def connected(desk: Desk) -> Session:
    node = await desk.store.nodes.create_node(ADMIN, NewNode(NodeId(new_random_id()), "web-1", "127.0.0.1"))
    return await desk.store.sessions.claim(node.id, BootId("0" * 32), HubId("h" * 26))


def at_step(name: str, row: Deployment) -> bool:
    return any(step.name == name and step.state == "running" and (name != "install" or row.job is not None) for step in row.steps)


@pytest.mark.parametrize("step", ["install", "verify"])
async def test_a_removed_node_ends_only_its_own_update(desk: Desk, step: str) -> None:
    session = await connected(desk)
    async with updating(desk) as service:
        [row] = await service.begin(ADMIN, [session.node], 1, 1)
        await desk.until(row.id, lambda row: at_step("install", row))
        if step == "verify":
            ((job, _),) = await desk.store.jobs.take(None, [session], SystemClock().now(), 10)
            await desk.store.jobs.advance(job.id, "accepted", session, JobUpdate())
            await desk.store.jobs.advance(job.id, "succeeded", session, JobUpdate(ended_at=SystemClock().now(), exit_code=0))
            await desk.until(row.id, lambda row: at_step("verify", row))
        await desk.store.nodes.delete_node(ADMIN, session.node)
        row = await desk.end_of(row.id)
    assert row.error is not None
    assert (row.state, row.error.code, row.error.step) == ("failed", "node.removed", step)


async def test_a_node_that_is_removed_before_its_turn_is_named_so(desk: Desk) -> None:
    session = await connected(desk)

    async def removed(node: NodeId, _timeout_s: float) -> None:
        await desk.store.nodes.delete_node(ADMIN, node)

    async with updating(desk, removed) as service:
        [row] = await service.begin(ADMIN, [session.node], 1, 1)
        row = await desk.end_of(row.id)
    assert (row.state, row.error and row.error.code) == ("failed", "node.removed")


async def test_a_hub_that_was_killed_after_the_order_follows_the_update_all_the_same(desk: Desk) -> None:
    session = await connected(desk)
    async with updating(desk) as service:
        [row] = await service.begin(ADMIN, [session.node], 1, 1)
        row = await desk.until(row.id, lambda row: at_step("install", row))
    await desk.store.deployments.save_deployment(ADMIN, transitions.step_detail(row, "install", ""))  # its text is for people alone
    async with updating(desk):
        ((job, _),) = await desk.store.jobs.take(None, [session], SystemClock().now(), 10)
        await desk.store.jobs.advance(
            job.id, "failed", session, JobUpdate(ended_at=SystemClock().now(), error=JobError("job.test", "no room"))
        )
        row = await desk.end_of(row.id)
    assert (row.state, row.error) == ("failed", DeploymentError("job.test", "no room", "install"))


async def test_an_update_continues_after_an_error_of_the_database(desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    session = await connected(desk)
    async with updating(desk) as service:
        [row] = await service.begin(ADMIN, [session.node], 1, 1)
        await desk.until(row.id, lambda row: at_step("install", row))
        with contextlib.closing(sqlite3.connect(tmp_path / "data" / "stardust.db", isolation_level=None)) as other:
            other.execute("CREATE TRIGGER full BEFORE UPDATE ON deployment BEGIN SELECT RAISE(ABORT, 'no'); END")
            ((job, _),) = await desk.store.jobs.take(None, [session], SystemClock().now(), 10)
            await desk.store.jobs.advance(job.id, "accepted", session, JobUpdate())
            await desk.store.jobs.advance(job.id, "succeeded", session, JobUpdate(ended_at=SystemClock().now(), exit_code=0))
            await eventually(lambda: "update_store_failed" in [record.getMessage() for record in caplog.records])
            other.execute("DROP TRIGGER full")
        await desk.until(row.id, lambda row: at_step("verify", row))


async def test_cancelling_an_update_at_its_turn_does_not_stop_others(desk: Desk) -> None:
    session, other = await connected(desk), asyncio.Event()

    async def called_off(_node: NodeId, _timeout_s: float) -> None:
        row = await desk.store.deployments.deployment(ADMIN, rows[0].id)
        await desk.store.deployments.save_deployment(ADMIN, row._replace(state="cancelled", ended_at=SystemClock().now()))
        other.set()

    async with updating(desk, called_off) as service:
        rows = await service.begin(ADMIN, [session.node], 1, 1)
        async with asyncio.timeout(60):
            await other.wait()
        await eventually(lambda: not service._running)
        assert (await desk.store.deployments.deployment(ADMIN, rows[0].id)).state == "cancelled"


async def test_of_concurrent_cancellations_of_an_update_both_succeed(desk: Desk) -> None:
    first, second = [await node_with(desk, None, name) for name in ("web-1", "web-2")]
    slow = hanging(desk, "deployments", "deployment", done_first=True)
    slow.commands.clear()
    async with updating(desk, away) as service:
        _, row = await service.begin(ADMIN, [first, second], 0, 1)
        slow.commands.add("deployment")
        late = asyncio.ensure_future(service.cancel(ADMIN, row.id))
        await slow.reached.wait()
        slow.commands.clear()
        await service.cancel(ADMIN, row.id)
        slow.answers.set()
        assert (await late).state == "cancelled"


async def test_updates_stopped_by_the_failure_of_another_are_closed_after_an_error_of_the_database(
    desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nodes = [await node_with(desk, None, name) for name in ("web-1", "web-2")]

    async def offline(_node: NodeId, _timeout_s: float) -> None:
        raise TimeoutError

    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "stardust.db", isolation_level=None)) as other:
        other.execute("CREATE TRIGGER full BEFORE UPDATE ON deployment WHEN NEW.state = 'cancelled' BEGIN SELECT RAISE(ABORT, 'no'); END")
        async with updating(desk, offline) as service:
            _, stopped = await service.begin(ADMIN, nodes, 0, 1)
            await eventually(lambda: "update_store_failed" in [record.getMessage() for record in caplog.records])
            other.execute("DROP TRIGGER full")
            assert (await desk.end_of(stopped.id)).state == "cancelled"
            await eventually(lambda: not service._running)


async def test_an_update_whose_cancellation_was_not_stored_keeps_its_turn(desk: Desk, tmp_path: Path) -> None:
    first, second = [await node_with(desk, None, name) for name in ("web-1", "web-2")]
    go_on, turn = asyncio.Event(), asyncio.Event()

    async def online(node: NodeId, timeout_s: float) -> None:
        if node == second:
            turn.set()
            await away(node, timeout_s)
        await go_on.wait()
        row = await desk.store.deployments.deployment(ADMIN, rows[0].id)
        await desk.store.deployments.save_deployment(ADMIN, row._replace(state="cancelled", ended_at=SystemClock().now()))

    async with updating(desk, online) as service:
        rows = await service.begin(ADMIN, [first, second], 0, 1)
        with contextlib.closing(sqlite3.connect(tmp_path / "data" / "stardust.db", isolation_level=None)) as other:
            other.execute(
                "CREATE TRIGGER no_end BEFORE UPDATE ON deployment WHEN NEW.state <> OLD.state BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
            with pytest.raises(StoreError):
                await service.cancel(ADMIN, rows[1].id)
            other.execute("DROP TRIGGER no_end")
        go_on.set()
        async with asyncio.timeout(60):
            await turn.wait()
        await desk.until(rows[1].id, lambda row: at_step("wait", row))


# -- orders ------------------------------------------------------------------------------------


async def test_an_update_order_is_stored_completely_or_not_at_all(desk: Desk, tmp_path: Path) -> None:
    nodes = [await node_with(desk, None, name) for name in ("web-1", "web-2", "web-3")]
    control = tmp_path / "data" / "stardust.db"
    async with updating(desk, away) as service:
        with contextlib.closing(sqlite3.connect(control, isolation_level=None)) as other:
            other.execute(
                "CREATE TRIGGER no_second BEFORE INSERT ON deployment WHEN NEW.name = 'web-2' BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
            with pytest.raises(StoreError):
                await service.begin(ADMIN, nodes, 1, 1)
            other.execute("DROP TRIGGER no_second")
        assert (await desk.store.deployments.deployments(ADMIN, 10)).items == []
        rows = await service.begin(ADMIN, nodes, 1, 1)
        await desk.until(rows[0].id, lambda row: at_step("wait", row))
        listed = (await desk.store.deployments.deployments(ADMIN, 10)).items
    assert [row.name for row in rows] == ["web-1", "web-2", "web-3"]
    assert [row.id for row in listed] == [row.id for row in reversed(rows)]
    assert {row.batch for row in rows} == {None}, "each is told of by itself"
    assert len({row.created_at for row in rows}) == 1


async def test_concurrent_update_orders_get_the_same_updates(desk: Desk) -> None:
    nodes = [await node_with(desk, None, name) for name in ("web-1", "web-2", "web-3")]
    async with updating(desk, away) as service:
        first, second = await asyncio.gather(service.begin(ADMIN, nodes[:2], 1, 1), service.begin(ADMIN, nodes[::-1], 1, 1))
        assert [row.id for row in second[:0:-1]] == [row.id for row in first]
        assert len((await desk.store.deployments.deployments(ADMIN, 10)).items) == 3
        assert [row.id for row in await service.begin(ADMIN, nodes, 1, 1)] == [*(row.id for row in first), second[0].id]


async def test_an_update_that_ends_while_others_are_ordered_is_returned(desk: Desk) -> None:
    one, other = [await node_with(desk, None, name) for name in ("web-1", "web-2")]
    disk = hanging(desk, "deployments", "create_deployments")
    disk.answers.set()
    gone = asyncio.Event()

    async def soon_away(_node: NodeId, _timeout_s: float) -> None:
        await gone.wait()
        raise TimeoutError

    async with updating(desk, soon_away) as service:
        [row] = await service.begin(ADMIN, [one], 1, 1)
        disk.reached.clear()
        disk.answers.clear()
        asking = asyncio.create_task(service.begin(ADMIN, [one, other], 0, 1))
        await disk.reached.wait()
        gone.set()
        await desk.end_of(row.id)
        disk.answers.set()
        assert [(await asking)[0].id, (await asking)[1].node_id] == [row.id, other]


async def test_over_a_hanging_disk_a_second_update_order_is_refused(desk: Desk) -> None:
    one, other = [await node_with(desk, None, name) for name in ("web-1", "web-2")]
    disk = hanging(desk, "deployments", "create_deployments")
    async with updating(desk, away, patience_s=0.2) as service:
        asking = asyncio.create_task(service.begin(ADMIN, [one], 1, 1))
        await disk.reached.wait()
        async with asyncio.timeout(60):
            with pytest.raises(StoreBusy):
                await service.begin(ADMIN, [other], 1, 1)
        disk.answers.set()
        assert [row.node_id for row in await asking] == [one]
        assert [row.node_id for row in (await desk.store.deployments.deployments(ADMIN, 10)).items] == [one]
