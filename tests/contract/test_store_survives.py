"""Acknowledged data survives kill -9, and changes to written audit rows are detected."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite.database import open_database
from groundcontrol.core.ids import JobId, NodeId
from spider.clock import SystemClock
from tests.support import writer_program
from tests.support.factories import SCOPE, new_node
from tests.support.some import some
from tests.support.store_backend import Backend

ROOT = Path(__file__).resolve().parents[2]
KILLS, SLOW_KILLS = 10, 20
KINDS = {"node", "output", "pack"}


@asynccontextmanager
async def writers(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The program that starts the writers (`writer_program`)."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.writer_program", str(folder)), cwd=ROOT, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        some(process.stdin).close()
        await process.wait()


async def run_and_kill(process: asyncio.subprocess.Process, acknowledged: int, after_s: float) -> list[str]:
    """Let a writer work until it has acknowledged so much, some of each kind, and a moment longer, then kill it; returns what it acknowledged."""
    assert process.stdout is not None
    some(process.stdin).write(b"\n")
    lines: list[str] = []

    async def read() -> str:
        line = (await some(process.stdout).readline()).decode().strip()
        assert line, "the writer ended by itself"
        lines.append(line)
        return line

    async with asyncio.timeout(60.0):
        pid = int((await read()).removeprefix("pid "))
        while (
            "ready" not in lines or len(lines) - lines.index("ready") <= acknowledged or KINDS - {line.partition(" ")[0] for line in lines}
        ):
            await read()
        await asyncio.sleep(after_s)  # the moment of the kill is the point of this test, not a wait for something
        os.kill(pid, signal.SIGKILL)
        while await read() != "killed":
            pass
    return lines


def integrity(path: Path) -> list[object]:
    with closing(sqlite3.connect(path)) as db:
        return [db.execute("PRAGMA integrity_check").fetchall(), db.execute("PRAGMA foreign_key_check").fetchall()]


@pytest.mark.holds("SAFETY-73", "SAFETY-90", "F-01")
@pytest.mark.timeout(300)
async def test_kills_lose_nothing_that_was_acknowledged(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    kills = SLOW_KILLS if pytestconfig.getoption("--slow") else KILLS
    folder, chance = tmp_path / "data", random.Random(20)
    nodes: set[str] = set()
    outputs: dict[str, int] = defaultdict(int)
    packs: dict[int, int] = defaultdict(lambda: -1)
    async with writers(folder) as process:
        for kill in range(kills):
            for line in await run_and_kill(process, chance.randrange(30), chance.uniform(0.0, 0.05)):
                match line.split():
                    case ["node", id_]:
                        nodes.add(id_)
                    case ["output", id_, fact]:
                        outputs[id_] = max(outputs[id_], int(fact))
                    case ["pack", id_, fact]:
                        packs[int(id_)] = max(packs[int(id_)], int(fact))
            if kill % 5 == 4:
                for name in ("stardust.db", "stardust-samples.db"):
                    assert integrity(folder / name) == [[("ok",)], []]

    database = await open_database(folder, clock=SystemClock())
    try:
        store = await database.store(audit_key=writer_program.AUDIT_KEY, chain="verifier")
        assert [node for node in nodes if await store.nodes.find_node(NodeId(node)) is None] == []
        for job, end in outputs.items():
            held = b"".join([piece async for piece in store.jobs.output(SCOPE, JobId(job), 0)])
            assert len(held) >= end
            assert held == b"".join(bytes([at % 256]) * (at % 700 + 1) for at in range(2000))[: len(held)]
        for no, seq in packs.items():
            times = [row.taken_at_ms async for _, rows in store.metrics.read(no, 0, 2e9, ["pulse"]) for row in rows]
            assert len(times) == len(set(times)) >= 2 * (seq + 1)
        assert await store.log.verify_audit() is None
        assert len(nodes) >= kills
        assert len(outputs) >= kills
        assert len(packs) == 2
    finally:
        await database.close()


TAMPERINGS = {
    "an edited row": "UPDATE audit SET target = 'somebody else' WHERE n = 3",
    "an edited actor": "UPDATE audit SET actor_id = 'x' WHERE n = 4",
    "an edited detail": "UPDATE audit SET detail = '{}' WHERE n = 2",
    "an edited time": "UPDATE audit SET at = at + 1 WHERE n = 5",
    "a deleted row": "DELETE FROM audit WHERE n = 3",
    "a deleted first row": "DELETE FROM audit WHERE n = 0",
    "two rows that changed places": "UPDATE audit SET n = CASE n WHEN 2 THEN 103 ELSE 102 END WHERE n IN (2, 3);"
    " UPDATE audit SET n = n - 100 WHERE n > 99",
    "another organisation": "UPDATE audit SET org = 2 WHERE n = 4",
    "a forged row at the end": "INSERT INTO audit SELECT chain, n + 1, org, at, actor_id, actor, address, action, target, result, detail,"
    " hash, zeroblob(32) FROM audit ORDER BY chain DESC, n DESC LIMIT 1",
    "an earlier chain without its end": "DELETE FROM audit WHERE n > 3 AND chain = (SELECT min(chain) FROM audit)",
    "an earlier chain that is gone": "DELETE FROM audit WHERE chain = (SELECT min(chain) FROM audit)",
}


@pytest.mark.holds("SAFETY-70", "S-34")
@pytest.mark.parametrize("tampering", TAMPERINGS)
async def test_a_changed_audit_log_does_not_verify(backend: Backend, tmp_path: Path, tampering: str) -> None:
    """All but a tail cut off the newest chain, which only an outside witness can see."""
    for chain in range(2):
        for at in range(5):
            await backend.store.nodes.create_node(SCOPE, new_node(f"n{chain}{at}"))
        backend.clock.advance(1.0)
        await backend.reopen()
    assert await backend.store.log.verify_audit() is None
    with closing(sqlite3.connect(tmp_path / "data" / "stardust.db")) as db, db:
        db.executescript(TAMPERINGS[tampering])
    verdict = some(await backend.store.log.verify_audit())
    assert verdict.startswith("chain ")


@pytest.mark.holds("S-34")
async def test_rows_of_another_key_do_not_verify(backend: Backend) -> None:
    await backend.store.nodes.create_node(SCOPE, new_node())
    forger = await backend.database.store(audit_key=bytes(32), chain="forger")
    await forger.nodes.create_node(SCOPE, new_node("other"))
    assert "forger" in (await backend.store.log.verify_audit() or "")
