"""The layouts of a session: those that a node assumes to be known are known to the hub and its store."""

from __future__ import annotations

import pytest

from groundcontrol.adapters.sqlite.expiry import MAX_STORED_SCHEMAS
from groundcontrol.agents.quota import COSTLY, FRAMES_PER_S
from groundcontrol.agents.validation import MAX_SCHEMAS
from spider.hub.outbox import MAX_ANNOUNCED, Outbox
from spider.wire.frames import Welcome
from spider.wire.sample_messages import Ack, Layout, Pack, Row
from tests.support.agent import layout_of
from tests.support.agent_sessions import Meeting, Sessions

PULSE = layout_of()
ROUNDS = 3 * MAX_STORED_SCHEMAS


def containers(number: int) -> Layout:
    """The metrics while one container runs."""
    return layout_of("breathe", 60, [f"container.memory{{container=ci-{number}}}"])


def behind(hub: Sessions, layout: Layout) -> int:
    """How many layouts the store received since it last received this one."""
    return [row.schema_id for row in reversed(hub.stored)].index(layout.layout)


async def say_all(hub: Sessions, meeting: Meeting, outbox: Outbox) -> None:
    """Everything that the node has to send now, acknowledged as it goes."""
    while (message := outbox.take()) is not None:
        hub.clock.advance(COSTLY / FRAMES_PER_S)  # it is no hurry
        await meeting.says(message)
        if isinstance(message, Pack):
            outbox.acked(Ack(message.stream, message.seq))


@pytest.mark.parametrize("away", [False, True])
async def test_a_layout_in_use_is_remembered_while_others_change(away: bool) -> None:
    """Live, and in the backlog of an outage."""
    hub = Sessions()
    meeting, outbox = hub.meet(), Outbox(hub.clock)
    welcome = Welcome(1, 0, 10, -1, -1, [], [], [])
    if not away:
        outbox.resume(welcome)
    for number in range(ROUNDS):
        hub.clock.advance(1)
        for layout in (PULSE, containers(number)):
            outbox.add(layout, Row(int(hub.clock.now() * 1000), [1] * len(layout.series)))
        outbox.flush()
        if not away:
            await say_all(hub, meeting, outbox)
            assert behind(hub, PULSE) < MAX_STORED_SCHEMAS, "further back the store forgets what no row uses"
    if away:
        outbox.resume(welcome)
        await say_all(hub, meeting, outbox)
    assert outbox.settled()
    assert len(meeting.agent._schemas) == MAX_SCHEMAS
    assert len(hub.stored) < 1.1 * ROUNDS


async def test_alternating_layouts_are_stored_once() -> None:
    hub = Sessions()
    meeting = hub.meet()
    for number in range(5 * MAX_SCHEMAS):
        hub.clock.advance(COSTLY / FRAMES_PER_S)
        await meeting.says(containers(number % (MAX_ANNOUNCED + 1)))
    assert len(hub.stored) == MAX_ANNOUNCED + 1
