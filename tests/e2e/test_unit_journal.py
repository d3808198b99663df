"""The last lines of a unit's journal: requested from the node by an operator, audited, shown and not stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from spider.wire.frames import JOURNAL
from spider.wire.report_messages import JournalAnswer, JournalRequest
from tests.support.agent import IDENTITY, TestAgent, agents, node_name
from tests.support.hub import HubProcess


@pytest.fixture
async def reader(shared_hub: HubProcess) -> AsyncIterator[TestAgent]:
    """A node whose Spider reads its journal on demand."""
    [node] = await asyncio.to_thread(shared_hub.enrol, node_name())
    async with agents(shared_hub, node) as [made]:
        made.features = [JOURNAL]
        await made.join()
        await made.say(IDENTITY._replace(policy_journal="all"))
        yield made


async def test_lines_are_read_on_the_node_and_their_hostile_text_is_made_plain(shared_hub: HubProcess, reader: TestAgent) -> None:
    path = f"/api/v1/nodes/{reader.node.node_id}/journal"
    asked = asyncio.create_task(shared_hub.call("POST", path, {"unit": "nginx.service", "level": "warning"}))
    request = await reader.expect(JournalRequest)
    assert request[1:] == ("nginx.service", 200, "warning")
    await reader.say(JournalAnswer(request.request, "", "", 3, [1_790_000_000_123], [4], ["a\x1b[2J\u202e<b>b\nc"]))
    reply = await asked
    assert (reply.status, reply.json["left_out"], reply.json["level"]) == (200, 3, "warning")
    [line] = reply.json["lines"]
    assert line == {"at": 1_790_000_000.123, "priority": 4, "text": "a\\x1b[2J\\u202e<b>b⏎c"}
    assert (await shared_hub.call("GET", f"/api/v1/nodes/{reader.node.node_id}/logs")).json["lines"] == []
    rows = (await shared_hub.call("GET", "/api/v1/audit")).json["audit"]
    assert any((row["action"], row["target"]) == ("journal.read", reader.node.node_id) for row in rows)


@pytest.mark.parametrize(
    ("refused", "status", "code", "word"),
    [
        ("policy", 409, "node.policy_refuses", "`journal = warning`"),
        ("unreadable", 409, "node.journal_unreadable", "group systemd-journal"),
        ("busy", 503, "unavailable", "try again"),
    ],
)
async def test_a_node_that_shows_no_lines_says_why(
    shared_hub: HubProcess, reader: TestAgent, refused: str, status: int, code: str, word: str
) -> None:
    path = f"/api/v1/nodes/{reader.node.node_id}/journal"
    asked = asyncio.create_task(shared_hub.call("POST", path, {"unit": "nginx.service", "lines": 1}))
    request = await reader.expect(JournalRequest)
    text = "may not be read (group systemd-journal)" if refused == "unreadable" else ""
    await reader.say(JournalAnswer(request.request, refused, text, 0, [], [], []))
    reply = await asked
    assert (reply.status, reply.json["code"], word in reply.json["detail"]) == (status, code, True), reply.body


async def test_an_invalid_journal_request_is_refused_immediately(shared_hub: HubProcess, agent: TestAgent) -> None:
    path = f"/api/v1/nodes/{agent.node.node_id}/journal"
    for body in (
        {"unit": "nginx.service", "level": "debug"},
        {"unit": "--follow"},
        {"unit": "nginx*.service"},
        {"unit": "nginx.service", "lines": 201},
        {},
    ):
        assert (await shared_hub.call("POST", path, body)).status == 400
    old = await shared_hub.call("POST", path, {"unit": "nginx.service"})
    assert (old.status, old.json["code"]) == (409, "node.journal_unreadable")  # its Spider has no such feature
    await agent.close()
    gone = await shared_hub.call("POST", path, {"unit": "nginx.service"})
    assert gone.json["code"] in ("node.offline", "node.journal_unreadable")
