"""The default name of a node: the server's own, or the typed address where that is in use."""

from __future__ import annotations

from typing import cast

import pytest

from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Scope
from groundcontrol.deployments.model import PolicyLines
from groundcontrol.deployments.run import UNITS_UNDER_OPENRC
from groundcontrol.events.model import Event
from groundcontrol.nodes.model import NewNode, Node
from majortom import interfaces
from majortom.deployer import MajorTom
from majortom.install import InstallOptions, InstallResult, PayloadMaker
from majortom.interfaces import Reporter, Target, VerifySession
from majortom.probe import parse_probe
from majortom.ssh.connect import describe
from spider.wire.ids import new_random_id
from tests.support.deployment_desk import ADMIN, KEY, Desk, Requests
from tests.support.join_client import PROBE
from tests.support.some import some


class Server:
    """Major Tom on a server that calls itself so, where nothing can go wrong."""

    def __init__(self, name: str, openrc: str = "") -> None:
        self._probe = parse_probe(PROBE)._replace(hostname=name, openrc=openrc)

    async def install(
        self, _target: Target, _options: InstallOptions, _reporter: Reporter, payload: PayloadMaker, _verify: VerifySession
    ) -> InstallResult:
        await payload(self._probe)
        return InstallResult(interfaces.HostKey(*describe(KEY)), self._probe)


async def test_the_id_of_a_node_is_saved_before_the_node_exists(desk: Desk, request_to: Requests, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the next start of a killed hub finds the node, and deletes it."""
    await desk.store.nodes.create_node(ADMIN, NewNode(NodeId(new_random_id()), "taken", "192.0.2.1"))
    create, seen = desk.store.nodes.create_node, list[tuple[NodeId, NodeId | None]]()

    async def noted(scope: Scope, node: NewNode, event: Event | None = None) -> Node:
        (row,) = await desk.store.deployments.unfinished_deployments()
        seen.append((node.id, row.node_id))
        return await create(scope, node, event)

    monkeypatch.setattr(desk.store.nodes, "create_node", noted)
    async with desk.running() as service:
        service._tools = service._tools._replace(major=cast("MajorTom", Server("taken")))
        row = await desk.end_of((await service.install(ADMIN, request_to(22), None)).id)
    assert row.state == "succeeded", row.error
    assert seen == [(row.node_id, row.node_id)] * 2


@pytest.mark.parametrize(
    ("hostname", "given", "name"),
    [
        ("web-7", None, "web-7"),
        ("web-7", "front door", "front door"),
        ("taken", None, "127.0.0.1"),
        ("localhost", None, "127.0.0.1"),
        ("<b>", None, "127.0.0.1"),
        ("\u202e", None, "127.0.0.1"),
        ("0dm1ahkx77cf1tdvky8hpavc6c", None, "127.0.0.1"),
    ],
)
async def test_a_node_without_a_name_gets_that_of_its_server(
    desk: Desk, request_to: Requests, hostname: str, given: str | None, name: str
) -> None:
    await desk.store.nodes.create_node(ADMIN, NewNode(NodeId(new_random_id()), "taken", "192.0.2.1"))
    async with desk.running() as service:
        service._tools = service._tools._replace(major=cast("MajorTom", Server(hostname)))
        row = await desk.end_of((await service.install(ADMIN, request_to(22, name=given), None)).id)
    assert (row.state, row.name) == ("succeeded", name), row.error
    assert (await desk.store.nodes.node(ADMIN, some(row.node_id))).name == name


async def test_units_for_a_server_without_systemd_are_said_to_mean_nothing(desk: Desk, request_to: Requests) -> None:
    async with desk.running() as service:
        for openrc, units, said in (("0.45", ("nginx.service",), UNITS_UNDER_OPENRC), ("0.45", None, ""), ("", ("nginx.service",), "")):
            service._tools = service._tools._replace(major=cast("MajorTom", Server(f"web-{len(openrc)}-{bool(units)}", openrc)))
            asked = request_to(22, lines=PolicyLines(units=units), keep_credentials=False)
            row = await desk.end_of((await service.install(ADMIN, asked, None)).id)
            assert (row.state, next(step.detail for step in row.steps if step.name == "verify")) == ("succeeded", said)
