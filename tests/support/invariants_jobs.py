"""The invariants of jobs after any fault, checked against the hub's database and the node's records.

I2 every byte once, in order · I3 a job starts once · I4 states move along the table only · I5 the database is sound ·
I6 acknowledged data is stored.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from groundcontrol.jobs.model import TRANSITIONS


class NodeSide(NamedTuple):
    """What the node knows of a job."""

    job: str
    starts: int
    """How often the launcher started it."""
    printed: bytes
    acked: int
    """Bytes of output that the hub has acknowledged."""


@contextlib.contextmanager
def control(data_dir: Path) -> Iterator[sqlite3.Connection]:
    """Open the control database for reading. A hub may be using it."""
    with contextlib.closing(sqlite3.connect(f"file:{data_dir}/stardust.db?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        yield database


def held_output(database: sqlite3.Connection, job: str) -> bytes:
    """The stored output of a job. Raises: AssertionError: its pieces overlap, or there is a hole."""
    row = database.execute("SELECT no, output_end FROM job WHERE id = ?", (job,)).fetchone()
    held = b""
    pieces = database.execute("SELECT place, body FROM job_output WHERE place >= ? AND place < ?", (row["no"] << 32, (row["no"] + 1) << 32))
    for piece in pieces:
        assert piece["place"] - (row["no"] << 32) == len(held), "a piece of output lies where it should not"
        held += piece["body"]
    assert len(held) == row["output_end"]
    return held


def check_acknowledged(data_dir: Path, node: NodeSide) -> None:
    """I6, and I2 for the output so far. Valid at any moment, also right after a kill."""
    with control(data_dir) as database:
        if database.execute("SELECT 1 FROM job WHERE id = ?", (node.job,)).fetchone() is None:
            assert node.acked == 0
            assert node.starts == 0, "a job runs that the hub does not know"
            return
        held = held_output(database, node.job)
        assert len(held) >= node.acked, f"{node.acked} bytes were acknowledged, {len(held)} are held"
        assert node.printed.startswith(held)


def check_ended(data_dir: Path, node: NodeSide) -> None:
    """I2, I3 and I4 of a job that has succeeded, with a plan and a report."""
    with control(data_dir) as database:
        row = database.execute("SELECT * FROM job WHERE id = ?", (node.job,)).fetchone()
        assert row["state"] == "succeeded", (row["state"], row["error"])
        assert held_output(database, node.job) == node.printed
        digest = hashlib.sha256(node.printed).hexdigest()
        assert (row["held_sha256"], row["node_sha256"], row["output_total"]) == (digest, digest, len(node.printed))
        assert row["plan_digest"] is not None
        assert database.execute("SELECT count(*) FROM job_report WHERE job = ?", (row["no"],)).fetchone()[0] == 1
        moves = database.execute("SELECT action, detail FROM audit WHERE target = ? ORDER BY rowid", (node.job,)).fetchall()
    assert node.starts == 1, f"it was started {node.starts} times"
    assert [move["action"] for move in moves[:2]] == ["job.create", "job.dispatch"]
    state = "dispatched"
    for move in moves[2:]:
        after = move["action"].removeprefix("job.")
        assert json.loads(move["detail"])["from"] == state
        assert after in TRANSITIONS[state]
        state = after
    assert state == "succeeded"


def check_database(data_dir: Path) -> None:
    """I5 of the control database."""
    with control(data_dir) as database:
        assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
