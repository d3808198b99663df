"""hub.start: the time until a killed hub serves again, with a gigabyte of samples and with none."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from scripts.benches.measure import Results, cpu_seconds, line
from tests.support.hub import HubProcess

TARGET_BYTES = 1_000_000_000
KILLS = 5
CHUNK_BYTES = 40_000
"""About the size of an hour of one family of a node."""
BATCH = 500


def _fill(path: Path) -> None:
    """Add chunks, as a large hub has, until the file has TARGET_BYTES. Their keys belong to no node."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        key = 1 << 40
        while path.stat().st_size < TARGET_BYTES:
            db.execute("BEGIN")
            db.executemany("INSERT INTO chunk_1s VALUES (?, 3600, ?)", ((key + number, os.urandom(CHUNK_BYTES)) for number in range(BATCH)))
            db.execute("COMMIT")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            key += BATCH


def _starts(folder: Path, *, large: bool) -> tuple[list[float], list[float], int]:
    """Seconds of each start after a kill, processor seconds of each, and the size of the samples in bytes."""
    seconds, busy = [], []
    with HubProcess(folder / "hub") as hub:
        samples = hub.folder / "stardust-samples.db"
        if large:
            hub.end()
            _fill(samples)
            hub.launch()
        for _ in range(KILLS):
            hub.slay()
            began = time.monotonic()
            hub.launch()
            seconds.append(time.monotonic() - began)
            busy.append(cpu_seconds(hub.pid))
        hub.slay()
        return seconds, busy, samples.stat().st_size


def start() -> Results:
    """Time from the start after kill -9 until the hub serves: median and worst of KILLS. `cpu_s` does not depend on other programs."""
    results: Results = []
    empty_s = 0.0
    for name, large in (("empty", False), ("1gb", True)):
        with tempfile.TemporaryDirectory(prefix="bench-start-") as folder:
            seconds, busy, size = _starts(Path(folder), large=large)
        median, cpu_s = statistics.median(seconds), round(statistics.median(busy), 2)
        more = {"worst": round(max(seconds), 2), "cpu_s": cpu_s, "megabytes": round(size / 1e6)}
        results.append(line(f"hub.start.{name}", median, "s", empty_s if large else None, **more))
        empty_s = median
    return results
