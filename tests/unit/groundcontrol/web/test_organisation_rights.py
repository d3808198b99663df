"""Lists and live topics, by role, for a user of another organisation. `test_object_rights` has the routes that name an object."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest

from groundcontrol.core.bus import Changed
from groundcontrol.core.ids import BatchId
from groundcontrol.core.permissions import PERMISSIONS
from groundcontrol.core.scope import Role
from groundcontrol.jobs.model import JobRequest, NewBatch
from groundcontrol.slices import TOPICS as DECLARED
from spider.wire.ids import new_random_id, new_time_id
from tests.support.inprocess_hub import ADMIN, Client, TestHub, a_deployment
from tests.support.measured_node import managed
from tests.support.printing_node import Printing, tell_plan_and_report

ROLES: tuple[Role, ...] = ("admin", "operator", "viewer")
KINDS = ("nodes", "jobs", "batches", "deployments")
TOPICS = ("node", "job", "deployment")


class Things(NamedTuple):
    """One of each kind, in the first organisation."""

    nodes: str
    jobs: str
    batches: str
    deployments: str


@pytest.fixture
async def things(hub: TestHub) -> Things:
    node, printing = await managed(hub), await Printing.start(hub)
    deployment = await hub.store.deployments.create_deployment(ADMIN, a_deployment())
    await tell_plan_and_report(hub, printing.session, printing.job.id)
    batch = NewBatch(BatchId(new_time_id()), JobRequest("check"), (node.id,), (), (), 1.0)
    await hub.store.batches.create_batch(ADMIN, batch, None)
    return Things(node.id, printing.job.id, batch.id, deployment.id)


async def somebody(hub: TestHub, role: Role, *, stranger: bool) -> Client:
    """A user of the first organisation, or of another one."""
    client = await hub.logged_in(role)
    if stranger:
        await hub.move(client.user)
    return client


def nameless(told: Any) -> str:
    """An answer without the ids in it."""
    return re.sub(r"[0-9a-z]{26}", "…", repr(told))


@pytest.mark.parametrize("role", ROLES)
async def test_lists_contain_only_resources_of_the_own_organisation(hub: TestHub, things: Things, role: Role) -> None:
    owner, stranger = await somebody(hub, role, stranger=False), await somebody(hub, role, stranger=True)
    for kind in KINDS:
        assert getattr(things, kind) in [one["id"] for one in (await owner.get(kind)).json[kind]]
        assert (await stranger.get(kind)).json[kind] == []
    assert (await stranger.get(f"jobs?node={things.nodes}")).json["jobs"] == []
    assert (await stranger.get(f"events?node={things.nodes}")).json["events"] == []


@pytest.mark.holds("SAFETY-34")
def test_every_topic_asks_for_an_action_of_the_table() -> None:
    assert {topic.action for topic in DECLARED.values()} <= set(PERMISSIONS)


@pytest.mark.holds("S-22")
@pytest.mark.parametrize("role", ROLES)
async def test_the_live_socket_shows_only_the_own_organisation(hub: TestHub, things: Things, role: Role) -> None:
    owner, stranger = await somebody(hub, role, stranger=False), await somebody(hub, role, stranger=True)
    topics = {f"{kind}:{getattr(things, kind + 's')}" for kind in TOPICS}
    async with owner.live() as live:
        for topic in sorted(topics):
            await live.subscribe(topic)
            while True:
                kind, body = await live.next()
                if kind == "snapshot" and body["topic"] == topic:
                    break
    async with stranger.live() as live:
        for topic in sorted(topics):
            await live.subscribe(topic)
            foreign = await live.expect("error")
            await live.subscribe(topic.partition(":")[0] + ":" + new_random_id())
            nothing = await live.expect("error")
            assert (foreign["code"], foreign["topic"]) == ("not_found", topic)
            assert nameless(foreign) == nameless(nothing)
        for topic, empty in (("fleet", "nodes"), ("events", "events"), ("jobs", "jobs")):
            assert (await live.follow(topic))["data"][empty] == []
        hub.nodes.connected.add(managed_id := (await managed(hub)).id)
        from_the_first = await hub.store.nodes.edit_node(ADMIN, managed_id, name="secret-name", tags=None)
        hub.bus.publish(Changed("node", from_the_first.id, from_the_first.version, 1))
        await live.send("ping", {})
        told = [await live.next()]
        while told[-1][0] != "pong":
            told.append(await live.next())
        assert "secret-name" not in repr(told)
