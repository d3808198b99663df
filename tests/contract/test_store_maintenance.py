"""Maintenance windows of jobs and deployments: opened in the transaction that starts the work, and closed once."""

from __future__ import annotations

import pytest

from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.errors import NotFound
from groundcontrol.core.ids import NodeId
from groundcontrol.events.model import Event
from groundcontrol.jobs.model import JobUpdate
from groundcontrol.schedules.maintenance import HEALTHY_S, OVERRUN_S
from groundcontrol.schedules.maintenance_closer import WindowCloser
from groundcontrol.schedules.model import MaintenanceId
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, STRANGER, connect, new_deployment, new_job, new_node, running_job, twice
from tests.support.race_cases_alerts import a_window
from tests.support.some import some
from tests.support.store_backend import Backend


class Health:
    def __init__(self) -> None:
        self.ill: set[NodeId] = set()

    def __call__(self, node: NodeId) -> bool:
        return node not in self.ill


async def recorded(store: Store) -> list[tuple[str, float]]:
    """Type and time of each event of a maintenance window, oldest first."""
    found = (await store.log.events(SCOPE, 50)).items
    return [(event.type, event.at) for event in reversed(found) if event.type.startswith("maintenance_")]


async def told(store: Store) -> list[str]:
    """The messages of these events, oldest first."""
    found = (await store.log.events(SCOPE, 50)).items
    return [event.message for event in reversed(found) if event.type.startswith("maintenance_")]


async def overruns(store: Store) -> list[Event]:
    """The events of windows that were open for too long."""
    return [event for event in (await store.log.events(SCOPE, 50)).items if event.type == "maintenance_overran"]


async def test_a_job_window_opens_at_dispatch_and_closes_with_the_nodes_health(backend: Backend, clock: ManualClock) -> None:
    running, health = await running_job(backend.store, clock.now()), Health()
    node = running.job.node_id
    health.ill.add(node)
    store = await backend.reopen()  # none of it is only in memory
    closer = WindowCloser(store.maintenance, clock, health)
    await closer.look()
    found = some(closer.windows.covering(1, node, (), clock.now()))
    assert str(found.id) == running.job.id

    clock.advance(600)
    await store.jobs.advance(running.job.id, "succeeded", SCOPE, JobUpdate(exit_code=0))
    for ill, wait_s, covered in ((True, 60, True), (False, HEALTHY_S - 1, True), (False, 1, False)):
        (health.ill.add if ill else health.ill.discard)(node)
        await closer.look()
        clock.advance(wait_s)
        await closer.look()
        assert (closer.windows.covering(1, node, (), clock.now()) is not None) == covered
    assert await overruns(store) == []


async def test_a_node_still_unhealthy_after_its_job_is_reported_once(store: Store, clock: ManualClock) -> None:
    running = await running_job(store, clock.now())
    await store.jobs.advance(running.job.id, "failed", SCOPE, JobUpdate(exit_code=1))
    closers = [WindowCloser(store.maintenance, clock, lambda _node: False) for _ in range(2)]
    for _ in range(3):
        for closer in closers:
            await closer.look()
        clock.advance(OVERRUN_S)
    (event,) = await overruns(store)
    assert (event.type, event.node_id, event.details["maintenance"]) == ("maintenance_overran", running.job.node_id, running.job.id)


async def test_jobs_that_change_nothing_open_no_window(store: Store, clock: ManualClock) -> None:
    session = await connect(store, (await store.nodes.create_node(SCOPE, new_node())).id)
    job = await store.jobs.create_job(SCOPE, new_job(session.node, clock.now(), "check"), None)
    assert await store.jobs.take([job.id], [session], clock.now())
    assert await store.maintenance.automatic() == []


async def test_a_deployment_covers_a_node_that_exists_and_opens_its_window_again_with_a_retry(store: Store, clock: ManualClock) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    await store.deployments.create_deployment(SCOPE, new_deployment(clock.now())._replace(node_id=None))
    assert await store.maintenance.automatic() == []
    made = await store.deployments.create_deployment(SCOPE, new_deployment(clock.now())._replace(node_id=node.id, host="192.0.2.99"))
    (one,) = await store.maintenance.automatic()
    assert (str(one.window.id), one.window.origin, one.node, one.gone, one.ended_at) == (str(made.id), "deployment", node.id, False, None)

    failed = await store.deployments.save_deployment(SCOPE, made._replace(state="failed", ended_at=clock.now()))
    assert await store.maintenance.end_automatic(1, one.window.id, ended_at=failed.ended_at, overran=False)
    assert await store.maintenance.automatic() == []
    clock.advance(60)
    await store.deployments.save_deployment(SCOPE, failed._replace(state="running", ended_at=None))
    (again,) = await store.maintenance.automatic()
    assert again.window.from_at == clock.now()

    await store.nodes.delete_node(SCOPE, node.id)
    (orphan,) = await store.maintenance.automatic()
    assert orphan.gone


async def test_the_window_of_a_retry_stays_open_although_the_first_attempt_has_just_ended(store: Store, clock: ManualClock) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    made = await store.deployments.create_deployment(SCOPE, new_deployment(clock.now())._replace(node_id=node.id))
    failed = await store.deployments.save_deployment(SCOPE, made._replace(state="failed", ended_at=clock.now()))
    (read,) = await store.maintenance.automatic()
    await store.deployments.save_deployment(SCOPE, failed._replace(state="running", ended_at=None))
    assert not await store.maintenance.end_automatic(1, read.window.id, ended_at=read.ended_at, overran=False)
    assert len(await store.maintenance.automatic()) == 1


async def test_windows_are_hidden_from_other_organisations_and_listed_for_a_week(store: Store, clock: ManualClock) -> None:
    window = await store.maintenance.create_window(SCOPE, a_window(clock.now()))
    assert await store.maintenance.windows(STRANGER) == []
    for act in (store.maintenance.window, store.maintenance.end_window):
        with pytest.raises(NotFound):
            await act(STRANGER, window.id)
    clock.advance(3600)
    assert await store.maintenance.open_windows() == []
    assert await store.maintenance.windows(SCOPE) == [window]
    clock.advance(8 * 86_400)
    assert await store.maintenance.windows(SCOPE) == []


async def test_the_begin_and_end_of_a_window_are_recorded_once_over_restarts(backend: Backend, clock: ManualClock) -> None:
    began = clock.now()
    window = a_window(began)._replace(from_at=began + 60, until_at=began + 600)
    await backend.store.maintenance.create_window(SCOPE, window)
    store = backend.store
    for wait_s in (0, 60, 0, 300, 241, 0):
        clock.advance(wait_s)
        store = await backend.reopen()
        for closer in [WindowCloser(store.maintenance, clock, Health()) for _ in range(2)]:
            await closer.look()
            await closer.look()
    assert await recorded(store) == [("maintenance_opened", began + 60), ("maintenance_closed", began + 600)]


async def test_a_window_ended_by_a_user_is_recorded_and_an_unbegun_one_is_not(store: Store, clock: ManualClock) -> None:
    began = clock.now()
    closer = WindowCloser(store.maintenance, clock, Health())
    window, later = a_window(began), a_window(began)._replace(id=MaintenanceId("later"), from_at=began + 3000)
    for one in (window, later):
        await store.maintenance.create_window(SCOPE, one)
    await closer.look()
    clock.advance(100)
    for one in (window, later):
        await twice(lambda one=one: store.maintenance.end_window(SCOPE, one.id))  # type: ignore[misc]  # bound in this turn
    assert await recorded(store) == [("maintenance_opened", window.from_at), ("maintenance_closed", began + 100)]
    assert (await told(store))[0] == "maintenance of all servers began: planned work"


async def test_the_window_of_a_job_is_recorded_with_the_job_and_goes_after_a_week(store: Store, clock: ManualClock) -> None:
    running = await running_job(store, clock.now())
    began = clock.now()
    closer = WindowCloser(store.maintenance, clock, Health())
    await store.jobs.advance(running.job.id, "succeeded", SCOPE, JobUpdate(exit_code=0))
    await closer.look()
    clock.advance(HEALTHY_S)
    await closer.look()
    assert await recorded(store) == [("maintenance_opened", began), ("maintenance_closed", began + HEALTHY_S)]
    assert await told(store) == ["maintenance of web-1 began: upgrade", "maintenance of web-1 ended: upgrade"]
    clock.advance(8 * 86_400)
    later = await running_job(store, clock.now(), "web-2")
    assert await store.maintenance.end_automatic(1, MaintenanceId(later.job.id), ended_at=None, overran=False)
    with pytest.raises(NotFound):
        await store.maintenance.window(SCOPE, MaintenanceId(running.job.id))
