"""How much one node may say: what is over waits, and only the node that said it."""

from __future__ import annotations

from typing import Final

from groundcontrol.core.ids import NodeId
from groundcontrol.samples.tiers import HOUR_MS

FRAMES_PER_S: Final = 800.0
BYTES_PER_S: Final = 24.0 * 1024 * 1024
"""Above the 10 MB/s of job output that a node may stream."""
BURST_S: Final = 2.0
"""A node that was quiet may say this many seconds' worth at once."""
COSTLY: Final = 40.0
"""Frames that a message counts for when it costs a transaction of its own (identity, layout, updates …)."""
VALUES_OF_A_FRAME: Final = 4000.0
"""Samples of a pack that count for as much as a frame: a few kilobytes may hold a quarter of a million, which take 6 ms to be checked."""


STORED_BYTES: Final = 1024.0 * 1024 * 1024
"""Bytes of packs and layouts of one node that are stored in a day or so: a spool that was full at a hundred hours has 64 MiB, and a busy server
says 5 MB a day."""
STORED_BYTES_PER_S: Final = 16.0 * 1024
"""The same in the long run."""
HOUR_BYTES: Final = 1024.0
"""What each further hour of a pack counts for: it lies for itself, later in a chunk of each tier that names all series, and four kilobytes may
reach over 600 hours."""
OPENINGS: Final = 100.0
"""Sessions that a node may open without a pause: each costs commits, and may leave a line in the log, an event or a row of the audit log."""
OPENINGS_PER_S: Final = 1 / 3
"""The same in the long run."""
MOST_KEPT: Final = 10_000
KEPT_S: Final = 86_400.0
"""A quota that nothing was taken from for a day is full again, and need not be remembered."""


class Quota:
    """Token buckets of a node: frames, bytes, bytes that are stored, and openings."""

    __slots__ = ("_bytes", "_frames", "_opened_at", "_openings", "_stored", "at", "throttled_s")

    def __init__(self, now: float) -> None:
        self.at = now
        """When something came last."""
        self._frames = FRAMES_PER_S * BURST_S
        self._bytes = BYTES_PER_S * BURST_S
        self._stored = STORED_BYTES
        self._openings = OPENINGS
        self._opened_at = now
        self.throttled_s = 0.0
        """How long this node was made to wait, in all."""

    def open(self, now: float) -> float:
        """Count an opening.

        Returns: seconds until it may be repeated; 0.0: it goes on, and nearly always does.
        """
        self._openings = min(self._openings + (now - self._opened_at) * OPENINGS_PER_S, OPENINGS)
        self._opened_at = now
        if self._openings < 1.0:
            return (1.0 - self._openings) / OPENINGS_PER_S
        self._openings -= 1.0
        return 0.0

    def give_back(self) -> None:
        """Take an opening back: it was not the node's own."""
        self._openings = min(self._openings + 1.0, OPENINGS)

    def store(self, size: int, rows: int = 1, reach_ms: int = 0) -> None:
        """Count bytes that will be stored, of so many rows that lie so far apart; what comes next waits for them."""
        if size:
            self._stored -= size + min(rows, reach_ms // HOUR_MS) * HOUR_BYTES

    def spend(self, now: float, frames: float, size: int) -> float:
        """Count something that came.

        Args:    now: monotonic seconds; frames: what it counts for; size: its bytes.
        Returns: seconds to wait before anything more is read of this node; 0.0 nearly always.
        """
        passed = now - self.at
        self.at = now
        self._frames = min(self._frames + passed * FRAMES_PER_S, FRAMES_PER_S * BURST_S) - frames
        self._bytes = min(self._bytes + passed * BYTES_PER_S, BYTES_PER_S * BURST_S) - size
        self._stored = min(self._stored + passed * STORED_BYTES_PER_S, STORED_BYTES)
        if self._frames >= 0 and self._bytes >= 0 and self._stored >= 0:
            return 0.0
        wait_s = max(-self._frames / FRAMES_PER_S, -self._bytes / BYTES_PER_S, -self._stored / STORED_BYTES_PER_S)
        self.throttled_s += wait_s
        return wait_s


class Quotas:
    """Those of all nodes: who comes back has not got a new one."""

    def __init__(self, most_kept: int = MOST_KEPT) -> None:
        self._of: dict[NodeId, Quota] = {}
        self._most_kept = most_kept

    def of(self, node: NodeId, now: float) -> Quota:
        """The node's."""
        if len(self._of) >= self._most_kept:
            self._of = {one: quota for one, quota in self._of.items() if now - quota.at < KEPT_S}
        return self._of.setdefault(node, Quota(now))
