"""A session of a node above its quota: its messages wait, and work that nobody awaits any more is dropped."""

from __future__ import annotations

import pytest

from groundcontrol.agents.quota import COSTLY, FRAMES_PER_S, HOUR_BYTES, STORED_BYTES, STORED_BYTES_PER_S
from groundcontrol.agents.session import MAX_JOURNALS
from spider.wire.codec import pack_rows
from spider.wire.errors import ProtocolError
from spider.wire.sample_messages import STREAM_BACKFILL, STREAM_LIVE, Gap, Late, Layout, Pack, Row
from tests.support.agent import layout_of
from tests.support.agent_sessions import NODE, Sessions


def layout(number: int) -> Layout:
    """One of twenty kilobytes."""
    return layout_of(series=[f"cpu.core{{core={core}}}" for core in range(number, number + 1500)])


def lost_in(hub: Sessions, journal: int, seq: int) -> Gap:
    """A second that an earlier start of Spider has lost."""
    at_ms = int(hub.clock.now() * 1000)
    return Gap(seq, journal.to_bytes(16), 0, 0, 0, 0, "pulse", at_ms, at_ms, 1)


@pytest.fixture
def hub() -> Sessions:
    return Sessions()


async def test_stored_layouts_count_in_the_quota(hub: Sessions) -> None:
    """Each stays until nothing can use it: packs are not the only way to fill a disk."""
    hub.quotas.of(NODE, hub.clock.monotonic()).store(int(STORED_BYTES))
    meeting, began = hub.meet(), hub.clock.monotonic()
    for number in range(5):
        hearing = meeting.says(layout(number))
        while not hearing.done():
            await hub.passes(0.1)
    assert len(hub.stored) == 5
    assert hub.clock.monotonic() - began >= 4 * sum(map(len, layout(0).series)) / STORED_BYTES_PER_S, "each waits for the one before"


@pytest.mark.holds("S-48")
async def test_a_node_over_its_quota_stores_nothing_by_reconnecting(hub: Sessions) -> None:
    hub.quotas.of(NODE, hub.clock.monotonic()).store(int(2 * STORED_BYTES))
    for number in range(50):
        meeting = hub.meet()
        hearing = meeting.says(layout(number))
        await hub.passes(1)
        meeting.agent.over = True  # the next one has taken over
        await hub.passes(2)
        assert hearing.done(), "a session that is over is not slept through"
    assert hub.stored == []


async def test_a_delayed_message_is_handled_once_the_quota_allows_it(hub: Sessions) -> None:
    hub.quotas.of(NODE, hub.clock.monotonic()).store(int(STORED_BYTES + 10 * STORED_BYTES_PER_S))
    meeting = hub.meet()
    hearing = meeting.says(layout(0))
    await hub.passes(9)
    assert hub.stored == []
    assert meeting.agent.silent_s == 0.0, "who is not read is not silent"
    await hub.passes(2)
    assert hearing.done()
    assert len(hub.stored) == 1


@pytest.mark.parametrize("kind", ["live", "backfill", "late"])
@pytest.mark.parametrize(("apart_s", "waits"), [(1, False), (3600, True)])
async def test_a_pack_counts_once_per_hour_that_it_covers(hub: Sessions, kind: str, apart_s: int, waits: bool) -> None:
    """Each lies for itself: four kilobytes would become a megabyte."""
    meeting, said = hub.meet(), layout_of(series=["load.1"])
    await meeting.says(said)
    start_ms = int(hub.clock.now() * 1000) - 3_600_000 * 200
    coding, body = pack_rows([Row(start_ms + 1000 * apart_s * at, [0]) for at in range(100)])
    hub.quotas.of(NODE, hub.clock.monotonic()).store(int(STORED_BYTES - 50 * HOUR_BYTES))
    if kind == "late":
        await meeting.says(Late(0, bytes(16), 0, 0, 0, 0, said.layout, coding, body))
    else:
        await meeting.says(Pack(STREAM_LIVE if kind == "live" else STREAM_BACKFILL, 0, said.layout, coding, body))
    assert hub.late == ([] if kind == "live" else [(NODE, start_ms, start_ms + 99_000 * apart_s)])
    hearing = meeting.says(said)
    await hub.passes(0.1)
    assert hearing.done() is not waits
    hearing.cancel()


async def test_a_session_that_reports_losses_of_too_many_journals_ends(hub: Sessions) -> None:
    meeting = hub.meet()
    for seq in range(MAX_JOURNALS):
        hub.clock.advance(COSTLY / FRAMES_PER_S)
        await meeting.says(lost_in(hub, seq, seq))
    await meeting.says(lost_in(hub, 0, MAX_JOURNALS))
    with pytest.raises(ProtocolError, match="too many journals"):
        await meeting.says(lost_in(hub, MAX_JOURNALS, MAX_JOURNALS + 1))
