"""Nodes that are forgotten by force: their servers are not contacted, and credentials go nowhere unverified."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite.samples import SqliteMetrics
from groundcontrol.core.bus import Changed, Topic
from groundcontrol.core.errors import BadRequest, Conflict, NotFound, VaultError
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Scope
from groundcontrol.deployments import transitions
from groundcontrol.deployments.forget_node import LEFT_BEHIND
from groundcontrol.deployments.model import (
    INSTALL_STEPS,
    REMOVE_STEPS,
    DeploymentOptions,
    DeploymentOverrides,
    JumpRequest,
    deployment_event,
)
from groundcontrol.deployments.run import WIPED_LATER
from groundcontrol.events.making import MAX_MESSAGE_CHARS
from groundcontrol.events.model import Event
from groundcontrol.nodes.store import NodeStore
from spider.clock import SystemClock
from tests.support.deployment_desk import ADMIN, KEY, LIMITS, Desk, Requests, node_with, trouble
from tests.support.factories import connect, layout_row, pack
from tests.support.some import some
from tests.support.ssh_server import serving
from tests.support.store_backend import replaced

ODD = "\u202e\x1b[31m" + "A" * 200_000


@contextlib.contextmanager
def held(database: Path) -> Iterator[None]:
    """Another program writes to this database, and does not come to an end."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


class Between:
    """The nodes of a store, of which one can be deleted by a concurrent request."""

    def __init__(self, nodes: NodeStore) -> None:
        self._nodes = nodes
        self.deleting = asyncio.Event()
        self.go_on = asyncio.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._nodes, name)

    async def delete_node(self, scope: Scope, node: NodeId, event: Event | None = None) -> None:
        self.deleting.set()
        await self.go_on.wait()
        await self._nodes.delete_node(scope, node, event)


CONTRADICTORY: list[dict[str, object]] = [
    {"host": ODD}, {"host": ""}, {"username": "r\n\x07oot"}, {"username": ""}, {"port": 99_999_999}, {"port": 0}, {"name": ODD},
    {"tags": (ODD,)}, {"host_key": ODD}, {"password": "a\nb"}, {"certificate": ODD}, {"jump": JumpRequest(host=ODD)},
]  # fmt: skip


async def test_contradictory_overrides_are_refused_with_force_too(desk: Desk, request_to: Requests) -> None:
    node = await node_with(desk, request_to(22))
    async with desk.running() as service:
        for given in CONTRADICTORY:
            with pytest.raises(BadRequest) as caught:
                await service.remove(ADMIN, node, DeploymentOverrides(**given), force=True)  # type: ignore[arg-type]  # named as they are
            assert next(iter(given)) in str(caught.value.detail["field"])
            assert len(caught.value.message) < 200
    assert (await desk.store.nodes.node(ADMIN, node)).id == node
    assert (await desk.store.deployments.deployments(ADMIN, 10)).items == []


async def test_a_forced_removal_needs_no_credentials_and_shows_the_old_address(desk: Desk, request_to: Requests) -> None:
    node = await node_with(desk, request_to(2222, username="kept"))
    async with desk.running() as service:
        row = await service.remove(ADMIN, node, DeploymentOverrides(host="elsewhere.example", port=9, username="other"), force=True)
    assert (row.state, row.host, row.port, row.username) == ("succeeded", "127.0.0.1", 2222, "kept")
    events = (await desk.store.log.events(ADMIN, 10)).items
    assert "deployment_succeeded" in {event.type for event in events}
    assert "elsewhere" not in json.dumps([row, *events], default=repr)


@pytest.mark.parametrize("installed", [False, True])
async def test_a_forced_removal_works_with_undecryptable_credentials(desk: Desk, request_to: Requests, *, installed: bool) -> None:
    node = await node_with(desk, request_to(2222, username="kept"))
    kept = await desk.store.secrets.credentials(node)
    await desk.store.secrets.save_credentials(ADMIN, node, [record._replace(version=record.version + 1) for record in kept])
    if installed:
        wanted = transitions.new_deployment(
            ADMIN,
            "install",
            INSTALL_STEPS,
            host="10.0.0.7",
            port=2200,
            username="ops",
            name="web-1",
            options=DeploymentOptions(),
            node=node,
            at=1.0,
        )
        await desk.store.deployments.create_deployment(ADMIN, transitions.ended(wanted, "succeeded", 2.0))
    async with desk.running() as service:
        with pytest.raises(VaultError):
            await service.remove(ADMIN, node, None, force=False)
        with pytest.raises(BadRequest):
            await service.remove(ADMIN, node, DeploymentOverrides(host=ODD), force=True)
        row = await service.remove(ADMIN, node, None, force=True)
    where = ("10.0.0.7", 2200, "ops") if installed else ("127.0.0.1", 22, "root")
    assert (row.state, (row.host, row.port, row.username)) == ("succeeded", where)
    assert await desk.store.secrets.credentials(node) == []
    with pytest.raises(NotFound):
        await desk.store.nodes.node(ADMIN, node)


def test_a_deployment_event_is_one_line_of_plain_text() -> None:
    row = transitions.new_deployment(
        ADMIN, "remove", REMOVE_STEPS, host=ODD, port=22, username="u", name="web-1", options=DeploymentOptions(), node=None, at=1.0
    )
    event = deployment_event(transitions.ended(row, "succeeded", 2.0), 2.0)
    assert event.message.startswith("remove web-1 ([31mAAAA")
    assert (len(event.message), event.message.isprintable()) == (MAX_MESSAGE_CHARS, True)


async def test_empty_bodies_count_as_no_body(desk: Desk) -> None:
    """The known way to a node may be no host to log in to; forgetting it does not confirm it."""
    node = await node_with(desk, None)
    await desk.store.nodes.move_node(ADMIN, node, "somewhere behind a router")
    async with desk.running() as service:
        assert (await service.remove(ADMIN, node, DeploymentOverrides(), force=True)).state == "succeeded"


# -- databases that fail -----------------------------------------------------------------------


async def test_a_failed_deletion_of_samples_does_not_block_the_removal(desk: Desk, tmp_path: Path) -> None:
    node = await node_with(desk, None)
    session = await connect(desk.store, node)
    await desk.store.metrics.append([pack(session, 0, layout_row(), int(SystemClock().now() * 1000))])
    async with desk.running() as service, desk.bus.subscribe(Topic("changed", f"node:{node}"), limit=10, policy="ordered") as changes:
        with held(tmp_path / "data" / "stardust-samples.db"):
            row = await desk.end_of((await service.remove(ADMIN, node, None, force=True)).id)
        assert (row.state, row.steps[-1].detail) == ("succeeded", f"{LEFT_BEHIND}; {WIPED_LATER}")
        assert desk.closed == [node]
        async with asyncio.timeout(60):
            assert await anext(changes) == Changed("node", node, 0, 1)
        with pytest.raises(NotFound):
            await service.remove(ADMIN, node, None, force=True)
    assert await desk.store.metrics.latest(session.no)
    await desk.store.nodes.sweep()
    assert not await desk.store.metrics.latest(session.no)


async def test_a_forced_removal_that_could_not_start_can_be_repeated(desk: Desk) -> None:
    node = await node_with(desk, None)
    made = trouble(desk, "nodes", "delete_node")
    async with desk.running(desk.make(desk.config)) as service:
        row = await service.remove(ADMIN, node, None, force=True)
        assert row.error is not None
        assert (row.state, row.error.code, row.error.step) == ("failed", "hub_failed", "wipe")
        assert desk.closed == []
        made.commands.clear()
        assert (await service.remove(ADMIN, node, None, force=True)).state == "succeeded"
    assert desk.closed == [node]


async def test_a_retried_forced_removal_does_not_contact_the_server(desk: Desk, request_to: Requests) -> None:
    async with serving(KEY) as (port, seen):
        node = await node_with(desk, request_to(port))
        made = trouble(desk, "nodes", "delete_node")
        async with asyncio.timeout(60), desk.running(desk.make(desk.config)) as service:
            row = await service.remove(ADMIN, node, None, force=True)
            assert (row.state, row.options.forced, len(service._credentials)) == ("failed", True, 0)
            made.commands.clear()
            with pytest.raises(BadRequest):
                await service.retry(ADMIN, row.id, DeploymentOverrides(host=ODD))
            row = await service.retry(ADMIN, row.id, DeploymentOverrides(host="elsewhere.example", password="x"))
            assert (row.state, row.host, row.port, row.steps[-1].detail) == ("succeeded", "127.0.0.1", port, LEFT_BEHIND)
            assert row.options.earlier is not None
            with pytest.raises(Conflict, match="succeeded"):
                await service.retry(ADMIN, row.id, None)
        assert (seen, desk.closed) == ([], [node])
    with pytest.raises(NotFound):
        await desk.store.nodes.node(ADMIN, node)


async def test_an_interrupted_forced_removal_is_retried_without_credentials(desk: Desk) -> None:
    node = await node_with(desk, None)
    wanted = transitions.new_deployment(
        ADMIN,
        "remove",
        REMOVE_STEPS,
        host="h",
        port=22,
        username="u",
        name="web-1",
        options=DeploymentOptions(forced=True),
        node=node,
        at=1.0,
    )
    await desk.store.deployments.create_deployment(ADMIN, wanted)
    async with desk.running() as service:
        row = await desk.end_of(wanted.id)
        assert some(row.error).code == "hub_stopped"
        assert (await service.retry(ADMIN, row.id, None)).state == "succeeded"
    with pytest.raises(NotFound):
        await desk.store.nodes.node(ADMIN, node)


async def test_a_forced_removal_is_not_retried_during_a_removal_by_ssh(desk: Desk, request_to: Requests) -> None:
    async with serving(KEY) as (port, _):
        node = await node_with(desk, None)
        made = trouble(desk, "nodes", "delete_node")
        async with asyncio.timeout(60), desk.running(desk.make(desk.config)) as service:
            row = await service.remove(ADMIN, node, None, force=True)
            made.commands.clear()
            by_ssh = await service.remove(ADMIN, node, DeploymentOverrides(port=port, password="x"), force=False)
            await desk.until(by_ssh.id, lambda row: row.state == "awaiting_host_key")
            with pytest.raises(Conflict, match="is being removed") as caught:
                await service.retry(ADMIN, row.id, None)
            assert caught.value.detail == {"deployment": by_ssh.id}


async def test_a_forced_removal_whose_end_cannot_be_saved_succeeds_later(desk: Desk) -> None:
    node = await node_with(desk, None)
    between = Between(desk.store.nodes)
    desk.store = replaced(desk.store, nodes=between)
    made = trouble(desk, "deployments")
    async with desk.running(desk.make(desk.config, LIMITS._replace(forget_wait_s=0.5))) as service:
        asking = asyncio.create_task(service.remove(ADMIN, node, None, force=True))
        await between.deleting.wait()
        made.commands.add("save_deployment")
        between.go_on.set()
        row = await asking
        assert (row.state, desk.closed[:1]) == ("running", [node])
        made.commands.clear()
        row = await desk.end_of(row.id)
    assert (row.state, row.steps[-1].state, row.steps[-1].detail) == ("succeeded", "done", LEFT_BEHIND)


async def test_a_repeated_request_gets_the_same_pending_removal(desk: Desk) -> None:
    node = await node_with(desk, None)
    made = trouble(desk, "deployments", "save_deployment")
    async with desk.running(desk.make(desk.config, LIMITS._replace(forget_wait_s=0.1))) as service:
        row = await service.remove(ADMIN, node, None, force=True)
        assert (row.state, (await service.remove(ADMIN, node, None, force=True)).id) == ("running", row.id)
        made.commands.clear()
        assert (await desk.end_of(row.id)).state == "failed"
        again = await service.remove(ADMIN, node, None, force=True)
        assert (await desk.end_of(again.id)).state == "succeeded"


async def test_a_cancel_during_the_deletion_comes_too_late(desk: Desk) -> None:
    node = await node_with(desk, None)
    between = Between(desk.store.nodes)
    desk.store = replaced(desk.store, nodes=between)
    async with desk.running(desk.make(desk.config)) as service:
        asking = asyncio.create_task(service.remove(ADMIN, node, None, force=True))
        await between.deleting.wait()
        (row,) = (await desk.store.deployments.deployments(ADMIN, 10)).items
        cancelling = asyncio.create_task(service.cancel(ADMIN, row.id))
        async with asyncio.timeout(60):
            while not service._active[row.id].task.cancelling():  # noqa: ASYNC110
                await asyncio.sleep(0)
        between.go_on.set()
        assert (await cancelling).state == "succeeded"
        assert (await asking).steps[-1].detail == LEFT_BEHIND
    assert desk.closed == [node]
    with pytest.raises(NotFound):
        await desk.store.nodes.node(ADMIN, node)


async def test_simultaneous_deletions_drop_the_samples_of_each_node_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    dropped: list[int] = []
    drop = SqliteMetrics.drop_node

    async def noting(metrics: SqliteMetrics, no: int) -> None:
        dropped.append(no)
        await drop(metrics, no)

    monkeypatch.setattr(SqliteMetrics, "drop_node", noting)
    nodes = [await node_with(desk, None, f"web-{at}") for at in range(5)]
    async with desk.running() as service:
        rows = await asyncio.gather(*(service.remove(ADMIN, node, None, force=True) for node in nodes))
    assert {row.state for row in rows} == {"succeeded"}
    assert len(dropped) == len(nodes) == len(set(dropped))
