"""hub.updates: a page of available updates, from the tables of 200 nodes with 100 updates each, compared with reading one node's table."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from groundcontrol.adapters.sqlite.database import open_database
from groundcontrol.core.ids import BootId, HubId, NodeId
from groundcontrol.core.scope import SYSTEM
from groundcontrol.core.tables import SubjectTable
from groundcontrol.nodes.model import NewNode
from spider.clock import SystemClock
from spider.wire.ids import new_random_id, new_time_id

NODES, UPDATES, PACKAGES, ROUNDS = 200, 100, 600, 15
COLUMNS = ("package", "installed", "candidate", "security", "repository")


async def updates() -> list[dict[str, object]]:
    """Medians of ROUNDS calls."""
    with tempfile.TemporaryDirectory() as folder:
        database = await open_database(Path(folder) / "data", clock=SystemClock())
        try:
            store = await database.store(audit_key=bytes(32), chain=new_time_id())
            hub, first = HubId(new_time_id()), NodeId("")
            for node_no in range(NODES):
                first = NodeId(new_random_id())
                await store.nodes.create_node(SYSTEM, NewNode(first, f"node-{node_no}", "192.0.2.1", ()))
                session = await store.sessions.claim(first, BootId("0" * 32), hub)
                rows = [
                    (f"package-{(node_no * 7 + at) % PACKAGES}", "1.0-1", "1.1-1", "no" if at % 8 else "yes", "main")
                    for at in range(UPDATES)
                ]
                await store.tables.save_table(
                    session, SubjectTable("updates", 1.0, UPDATES, COLUMNS, tuple(cell for row in rows for cell in row))
                )
            page = await _median_ms(lambda: store.tables.updates(SYSTEM, 100))
            nodes = await _median_ms(lambda: store.tables.updates_of(SYSTEM, "package-7", 100))
            one = await _median_ms(lambda: store.tables.tables(SYSTEM, first))
        finally:
            await database.close()
    size = f"{NODES}x{UPDATES}"
    return [
        {"name": f"hub.updates.{size}.page", "value": round(page, 1), "unit": "ms", "versus": round(one, 2)},
        {"name": f"hub.updates.{size}.nodes_of_one", "value": round(nodes, 1), "unit": "ms", "versus": round(one, 2)},
    ]


async def _median_ms(ask: Callable[[], Awaitable[object]]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await ask()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)
