"""Nodes that are forgotten by force: nothing is asked of their servers, and nothing of what is given goes anywhere unchecked."""

from __future__ import annotations

import json

import pytest

from groundcontrol.deployments import rows
from groundcontrol.deployments.events import MAX_MESSAGE_CHARS
from groundcontrol.deployments.work import Tools, tell
from groundcontrol.domain.deployments import REMOVE_STEPS, DeploymentOverrides, JumpRequest, Wishes
from groundcontrol.errors import BadRequest
from tests.unit.groundcontrol.deployments.conftest import ADMIN, Desk, Requests, node_with

ODD = "\u202e\x1b[31m" + "A" * 200_000


@pytest.mark.parametrize(
    "given",
    [
        {"host": ODD}, {"host": ""}, {"username": "r\n\x07oot"}, {"username": ""}, {"port": 99_999_999}, {"port": 0}, {"name": ODD},
        {"tags": (ODD,)}, {"host_key": ODD}, {"password": "a\nb"}, {"certificate": ODD}, {"jump": JumpRequest(host=ODD)},
    ],
)  # fmt: skip
async def test_what_cannot_be_meant_is_refused_by_force_too(desk: Desk, request_to: Requests, given: dict[str, object]) -> None:
    node = await node_with(desk, request_to(22))
    async with desk.running() as service:
        with pytest.raises(BadRequest) as caught:
            await service.remove(ADMIN, node, DeploymentOverrides(**given), force=True)  # type: ignore[arg-type]  # named as they are
    assert next(iter(given)) in str(caught.value.detail["field"])
    assert len(caught.value.message) < 200
    assert (await desk.store.nodes.node(ADMIN, node)).id == node
    assert (await desk.store.deployments.deployments(ADMIN, 10)).items == []


async def test_by_force_no_credentials_are_asked_for_and_what_is_told_is_where_the_server_was(desk: Desk, request_to: Requests) -> None:
    node = await node_with(desk, request_to(2222, username="kept"))
    async with desk.running() as service:
        row = await service.remove(ADMIN, node, DeploymentOverrides(host="elsewhere.example", port=9, username="other"), force=True)
    assert (row.state, row.host, row.port, row.username) == ("succeeded", "127.0.0.1", 2222, "kept")
    (event,) = (await desk.store.log.events(ADMIN, 10)).items
    assert "elsewhere" not in json.dumps([row, event], default=repr)


async def test_an_event_is_one_line_of_plain_text_whatever_its_row_holds(desk: Desk) -> None:
    tools: Tools = desk.service._tools
    row = rows.new_deployment(
        ADMIN, "remove", REMOVE_STEPS, host=ODD, port=22, username="u", name="web-1", wishes=Wishes(), node=None, at=1.0
    )
    await tell(tools, rows.ended(row, "succeeded", 2.0))
    (event,) = (await desk.store.log.events(ADMIN, 10)).items
    assert event.message.startswith("Removing from web-1 ( [31mAAAA")
    assert (len(event.message), event.message.isprintable()) == (MAX_MESSAGE_CHARS, True)


async def test_bodies_that_say_nothing_are_as_none_at_all(desk: Desk) -> None:
    """What is known of the way to a node may be no host to log in to; who forgets it has not said so."""
    node = await node_with(desk, None)
    await desk.store.nodes.move_node(ADMIN, node, "somewhere behind a router")
    async with desk.running() as service:
        assert (await service.remove(ADMIN, node, DeploymentOverrides(), force=True)).state == "succeeded"
