"""A node of an in-process hub with samples."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import msgpack

from groundcontrol.core.ids import BootId, HubId
from groundcontrol.nodes.model import Node, NodeIdentity, NodePolicy
from groundcontrol.samples.model import SeriesSchema, StoredPack
from spider.wire.arg_kinds import ARG_KINDS
from spider.wire.ids import new_random_id
from spider.wire.sample_messages import CODING_PLAIN
from tests.support.inprocess_hub import TestHub

START = int(time.time()) // 60 * 60 - 600  # within the retention of seconds


async def measured(hub: TestHub, name: str = "web-1") -> Node:
    """A node with a minute of samples at 1 s, and a hole of ten seconds in it."""
    node = await hub.node(name)
    session = await hub.store.sessions.claim(node.id, BootId("0" * 32), HubId(hub.services.hub_id))
    await hub.store.metrics.begin_session(session)
    series = ("cpu.total", "disk.read{device=sda}")
    layout = hashlib.sha256(repr(series).encode()).digest()[:16]
    await hub.store.metrics.save_schema(session, SeriesSchema(layout, "pulse", 1, series))
    seconds = [second for second in range(60) if not 20 <= second < 30]
    for seq, second in enumerate(seconds):
        at = (START + second) * 1000
        body = msgpack.packb([msgpack.packb([at, [second * 100, None if second < 10 else 7]])])
        await hub.store.metrics.append([StoredPack(session, 0, seq, layout, at, at, CODING_PLAIN, body)])
    return node


def asked(node: Node, *series: str, **more: object) -> dict[str, Any]:
    return {"path": f"nodes/{node.id}/history", "params": [*(("metric", name) for name in series), *more.items()]}


async def managed(hub: TestHub) -> Node:
    """A node whose owner allows everything."""
    node = await hub.node(new_random_id()[:8])
    session = await hub.store.sessions.claim(node.id, BootId("0" * 32), HubId(hub.services.hub_id))
    return await hub.store.nodes.save_identity(
        session,
        NodeIdentity(package_manager="apt"),
        "0.1.0",
        NodePolicy("managed", lines={kind.line: ("*",) if kind.globs else (kind.example,) for kind in ARG_KINDS if kind.line}),
        "no",
        1.0,
    )
