"""Long responses end when the user's access is revoked meanwhile."""

from __future__ import annotations

import hashlib

import msgpack
import pytest

from groundcontrol.core.ids import BootId, HubId
from groundcontrol.samples.model import SeriesSchema, StoredPack
from groundcontrol.web.request import REAUTHORIZE_S
from spider.wire.sample_messages import CODING_PLAIN
from tests.support.inprocess_hub import ADMIN, TestHub
from tests.support.printing_node import Printing
from tests.support.slow_reader import PIECE, PIECES, limit_to_no_node, rest_of, slow_reader

ROWS = 1000
"""More than the buffers between a hub and a reader that takes nothing."""


@pytest.mark.holds("SAFETY-37", "S-22")
@pytest.mark.parametrize("end", ["nothing", "session", "account", "nodes"])
async def test_slowly_read_output_ends_when_the_right_is_lost(hub: TestHub, end: str) -> None:
    """A reader that was let in once could take its time."""
    printing = await Printing.start(hub)
    for _ in range(PIECES):
        await printing.print(PIECE, told=False)
    await hub.logged_in()
    client = await hub.logged_in("viewer", cookie=False)

    async with slow_reader(hub, client, f"jobs/{printing.job.id}/output") as reader:
        if end == "session":
            await hub.store.users.revoke_session(ADMIN, client.login.id)
        elif end == "account":
            await hub.store.user_admin.edit_user(ADMIN, client.user.id, role=None, disabled=True, grants=None)
        elif end == "nodes":
            await limit_to_no_node(hub, client)
        hub.clock.shift += REAUTHORIZE_S + 0.1
        size = await rest_of(reader)

    whole = len(PIECE) * PIECES
    assert size >= whole if end == "nothing" else size < whole


@pytest.mark.holds("SAFETY-37", "S-22")
@pytest.mark.parametrize("end", ["nothing", "session", "nodes"])
async def test_a_slowly_read_export_ends_when_the_right_is_lost(hub: TestHub, end: str) -> None:
    """The same of a node's history."""
    node = await hub.node()
    session = await hub.store.sessions.claim(node.id, BootId("0" * 32), HubId(hub.services.hub_id))
    await hub.store.metrics.begin_session(session)
    series = tuple(f"disk.read{{device={'d' * 40}{number}}}" for number in range(300))
    layout = hashlib.sha256(repr(series).encode()).digest()[:16]
    await hub.store.metrics.save_schema(session, SeriesSchema(layout, "pulse", 1, series))
    for seq in range(ROWS):
        at = (int(hub.clock.now()) - 2 * ROWS + seq) * 1000
        body = msgpack.packb([msgpack.packb([at, [seq] * len(series)])])
        await hub.store.metrics.append([StoredPack(session, 0, seq, layout, at, at, CODING_PLAIN, body)])
    client = await hub.logged_in("viewer", cookie=False)

    async with slow_reader(hub, client, f"nodes/{node.id}/export") as reader:
        if end == "session":
            await hub.store.users.revoke_session(ADMIN, client.login.id)
        elif end == "nodes":
            await limit_to_no_node(hub, client)
        hub.clock.shift += REAUTHORIZE_S + 0.1
        size = await rest_of(reader)

    whole = ROWS * len(series) * 40
    assert size > whole if end == "nothing" else size < whole
