"""Lists are ordered newest first, even when the clock behind their ids was wrong and was corrected."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.ids import JobId, NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Grants
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, new_batch, new_deployment, new_event, new_job, new_node
from tests.support.store_backend import Backend

YEAR_S = 365 * 86_400.0
LIMITED = SCOPE._replace(grants=(Grants(tags=("mine",)),))
Read = Callable[[Store, NodeId, str | None], Awaitable[Page[Any]]]


async def an_event(store: Store, clock: ManualClock, node: NodeId) -> str:
    made = new_event(clock.now(), node)
    await store.log.add_event(made)
    return made.id


async def a_job(store: Store, clock: ManualClock, node: NodeId) -> str:
    return (await store.jobs.create_job(SCOPE, new_job(node, clock.now()), None)).id


async def a_batch(store: Store, clock: ManualClock, node: NodeId) -> str:
    return (await store.batches.create_batch(SCOPE, new_batch([node], clock.now()), None)).id


async def a_deployment(store: Store, clock: ManualClock, _node: NodeId) -> str:
    return (await store.deployments.create_deployment(SCOPE, new_deployment(clock.now()))).id


LISTS: dict[str, tuple[Callable[[Store, ManualClock, NodeId], Awaitable[str]], Read]] = {
    "events": (an_event, lambda store, _node, cursor: store.log.events(SCOPE, 2, cursor)),
    "events of a node": (an_event, lambda store, node, cursor: store.log.events(SCOPE, 2, cursor, node=node)),
    "events of what is granted": (an_event, lambda store, _node, cursor: store.log.events(LIMITED, 2, cursor)),
    "jobs": (a_job, lambda store, _node, cursor: store.jobs.jobs(SCOPE, 2, cursor)),
    "jobs of a node": (a_job, lambda store, node, cursor: store.jobs.jobs(SCOPE, 2, cursor, node=node)),
    "jobs of what is granted": (a_job, lambda store, _node, cursor: store.jobs.jobs(LIMITED, 2, cursor)),
    "batches": (a_batch, lambda store, _node, cursor: store.batches.batches(SCOPE, 2, cursor)),
    "deployments": (a_deployment, lambda store, _node, cursor: store.deployments.deployments(SCOPE, 2, cursor)),
}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("ahead_s", [3600.0, 10 * YEAR_S])
async def test_resources_created_after_a_clock_jump_come_first(backend: Backend, clock: ManualClock, ahead_s: float, kind: str) -> None:
    make, read = LISTS[kind]
    store = backend.store
    node = (await store.nodes.create_node(SCOPE, new_node(tags=("mine",)))).id
    made = [await make(store, clock, node)]
    clock.jump(ahead_s)
    made += [await make(store, clock, node) for _ in range(3)]
    clock.jump(-ahead_s)
    made.append(await make(store, clock, node))
    store = await backend.reopen()
    made.append(await make(store, clock, node))

    found: list[str] = []
    cursor = None
    while cursor is not None or not found:
        page = await read(store, node, cursor)
        found += [one.id for one in page.items]
        cursor = page.next
    assert found == made[::-1]


async def test_current_jobs_begin_with_the_last_ordered_one(store: Store, clock: ManualClock) -> None:
    node = (await store.nodes.create_node(SCOPE, new_node())).id
    clock.jump(3600.0)
    before = [await a_job(store, clock, node) for _ in range(3)]
    for job in before:
        await store.jobs.stop_job(SCOPE, JobId(job))
    clock.jump(-3600.0)
    after = await a_job(store, clock, node)
    assert [job.id for job in await store.jobs.current(SCOPE, 2)] == [after, before[2]]
    assert [job.id for job in await store.jobs.current(SCOPE, 2, [JobId(before[0])])] == [after, before[2], before[0]]


async def test_of_equal_times_the_last_created_comes_first(store: Store, clock: ManualClock) -> None:
    made = [new_event(clock.now()) for _ in range(20)]
    for event in made:
        await store.log.add_event(event)
    assert (await store.log.events(SCOPE, 100)).items == made[::-1]


async def test_the_audit_log_is_ordered_by_insertion(backend: Backend, clock: ManualClock, tmp_path: Path) -> None:
    store = backend.store
    for jump_s in (0, YEAR_S, -YEAR_S):
        clock.jump(jump_s)
        await store.nodes.create_node(SCOPE, new_node(f"n{jump_s:g}"))
    store = await backend.reopen()
    await store.nodes.create_node(SCOPE, new_node("last"))

    found: list[str] = []
    cursor = None
    while cursor is not None or not found:
        page = await store.log.audit(SCOPE, 2, cursor)
        found += [str(row.detail.get("name")) for row in page.items if row.action == "node.create"]
        cursor = page.next
    assert found == ["last", f"n{-YEAR_S:g}", f"n{YEAR_S:g}", "n0"]
