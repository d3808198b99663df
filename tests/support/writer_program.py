"""A hub's writer that a test kills again and again: `python -m tests.support.writer_program FOLDER`.

For each line on its input it starts one writer, which it forks, since the imports cost more than the writing. It prints `pid N`, a line for
each write that is acknowledged, and `killed` once the writer has ended.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from pathlib import Path

from groundcontrol.adapters.sqlite.database import open_database
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.nodes.model import Session
from spider.clock import SystemClock
from spider.wire.ids import new_time_id
from tests.support.factories import SCOPE, connect, layout_row, new_job, new_node, pack, running_job

AUDIT_KEY = bytes(32)
AT_MS = 1_790_000_000_000


def acknowledged(kind: str, *facts: object) -> None:
    """One write per line: a kill cuts between lines, never inside one."""
    os.write(1, (" ".join([kind, *map(str, facts)]) + "\n").encode())


async def write_samples(store: Store, session: Session) -> None:
    first = (await store.metrics.begin_session(session)).live + 1
    for seq in itertools.count(first):
        await store.metrics.append([pack(session, seq, layout_row(), AT_MS + seq * 10_000, rows=2)])
        acknowledged("pack", session.no, seq)


async def write_nodes(store: Store, worker: int) -> None:
    for at in itertools.count():
        node = await store.nodes.create_node(SCOPE, new_node(f"{worker}-{os.getpid()}-{at}"))
        acknowledged("node", node.id)


async def write_output(store: Store, worker: int) -> None:
    job, session = await running_job(store, 1.0, f"job-{worker}-{os.getpid()}")
    end = 0
    for at in itertools.count():
        piece = bytes([at % 256]) * (at % 700 + 1)
        end = await store.jobs.append_output(job.id, end, piece, session)
        acknowledged("output", job.id, end)


async def write_until_killed(folder: Path) -> None:
    database = await open_database(folder, clock=SystemClock())
    store = await database.store(audit_key=AUDIT_KEY, chain=new_time_id())
    nodes = (await store.nodes.nodes(SCOPE, 2)).items
    while len(nodes) < 2:
        nodes.append(await store.nodes.create_node(SCOPE, new_node(f"first-{len(nodes)}")))
    async with asyncio.TaskGroup() as group:
        for node in nodes:
            group.create_task(write_samples(store, await connect(store, node.id)))
        for worker in range(3):
            group.create_task(write_nodes(store, worker))
            group.create_task(write_output(store, worker))
        await store.jobs.create_job(SCOPE, new_job(nodes[0].id, 1.0), None)
        acknowledged("ready")


def main(folder: Path) -> None:
    for _line in sys.stdin:
        child = os.fork()
        if child == 0:
            acknowledged("pid", os.getpid())
            asyncio.run(write_until_killed(folder))
        os.waitpid(child, 0)
        acknowledged("killed")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
