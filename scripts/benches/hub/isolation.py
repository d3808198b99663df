"""store.isolation: what it costs that a connection acts for one organisation, compared with the same statements on a bare connection."""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from groundcontrol.adapters.sqlite.engine.organisation import Acting, guard_writes, restrict_reads
from scripts.benches.measure import Results, line

ORGANISATIONS, ROWS_EACH = 20, 10_000
ROUNDS, WARM_UP = 400, 40
WRITES: Final = 500
SCHEMA: Final = (
    "CREATE TABLE event (no INTEGER PRIMARY KEY, org INTEGER NOT NULL, id TEXT NOT NULL, message TEXT NOT NULL, UNIQUE (org, id)) STRICT;"
    " CREATE INDEX event_by_org ON event (org)"
)
READS: Final = {
    "by_id": "SELECT * FROM event WHERE org = 7 AND id = '7-500'",
    "newest_50": "SELECT * FROM event WHERE org = 7 ORDER BY no DESC LIMIT 50",
    "list_100": "SELECT * FROM event WHERE org = 7 AND id > '7-4' ORDER BY id LIMIT 100",
}


def isolation() -> Results:
    """Queries and changes of one organisation, beside the same statements on a bare connection."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "some.db")
        bare = sqlite3.connect(path, isolation_level=None)
        bare.executescript(SCHEMA)
        rows = ((org, f"{org}-{number}", "Backup completed") for number in range(ROWS_EACH) for org in range(ORGANISATIONS))
        bare.execute("BEGIN")
        bare.executemany("INSERT INTO event (org, id, message) VALUES (?, ?, ?)", rows)
        bare.execute("COMMIT")
        acting = Acting()
        acting.org = 7
        restricted, guarded = sqlite3.connect(path, isolation_level=None), sqlite3.connect(path, isolation_level=None)
        restrict_reads(restricted, acting)
        guard_writes(guarded, acting)
        found = [_read(name, sql, restricted, bare) for name, sql in READS.items()]
        return [*found, _write(guarded, bare)]


def _medians_s(*calls: Callable[[], object]) -> list[float]:
    """The median processor time of each call; they are made in turn. A time by the clock would say how busy the machine is."""
    taken: list[list[float]] = [[] for _ in calls]
    for number in range(WARM_UP + ROUNDS):
        for call, times in zip(calls, taken, strict=True):
            began = time.thread_time()
            call()
            if number >= WARM_UP:
                times.append(time.thread_time() - began)
    return [statistics.median(times) for times in taken]


def _read(name: str, sql: str, restricted: sqlite3.Connection, bare: sqlite3.Connection) -> dict[str, object]:
    own, by_hand = _medians_s(lambda: restricted.execute(sql).fetchall(), lambda: bare.execute(sql).fetchall())
    return line(f"store.isolation.{name}", own * 1e6, "us", by_hand * 1e6)


def _write(guarded: sqlite3.Connection, bare: sqlite3.Connection) -> dict[str, object]:
    """Microseconds that the guard adds to a row."""

    def change(db: sqlite3.Connection) -> None:
        db.execute("BEGIN IMMEDIATE")
        db.executemany("UPDATE event SET message = 'again' WHERE org = 7 AND id = ?", [(f"7-{number}",) for number in range(WRITES)])
        db.execute("ROLLBACK")

    own, by_hand = _medians_s(lambda: change(guarded), lambda: change(bare))
    return line("store.isolation.guarded_row", (own - by_hand) / WRITES * 1e6, "us more")
