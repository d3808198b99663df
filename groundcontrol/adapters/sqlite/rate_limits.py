"""Rate limits. Attempts are counted before they are made, and the counts survive a restart."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from groundcontrol.access.store import Bucket
from groundcontrol.adapters.sqlite.engine.tx import Tx


def reserve(tx: Tx, buckets: Mapping[str, Bucket], at: float) -> float:
    """Count one attempt in every bucket, by its name, or in none if one is full.

    The window slides. A clock that jumps back makes no caller wait longer.
    Returns: 0.0, or the seconds until all have room.
    """
    tx.do("DELETE FROM attempt WHERE until <= ?", at)
    wait, counted = 0.0, {}
    for bucket, rule in buckets.items():
        limit, window_s = rule[0], rule[1]
        row = tx.one("SELECT times FROM attempt WHERE bucket = ?", bucket)
        times = [min(time, at) for time in (() if row is None else struct.unpack(f"<{len(row['times']) // 8}d", row["times"]))]
        times = [time for time in times if time > at - window_s]
        if len(times) >= limit:
            room = times[len(times) - limit] + window_s - at
            wait = max(wait, min(room, times[-1] + rule[2] - at) if len(rule) == 3 else room)
        counted[bucket] = [*times, at]
    if wait > 0.0:
        return wait
    for bucket, times in counted.items():
        packed = struct.pack(f"<{len(times)}d", *times)
        tx.do("INSERT OR REPLACE INTO attempt VALUES (?, ?, ?)", bucket, packed, at + buckets[bucket][1])
    return 0.0
