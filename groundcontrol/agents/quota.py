"""Rate limits of each node. Excess traffic delays only the node that sends it."""

from __future__ import annotations

from typing import Final

from groundcontrol.core.ids import NodeId
from groundcontrol.samples.tiers import HOUR_MS

FRAMES_PER_S: Final = 800.0
BYTES_PER_S: Final = 24.0 * 1024 * 1024
"""Above the 10 MB/s of job output that a node may stream."""
BURST_S: Final = 2.0
"""Seconds of traffic that an idle node may send in one burst."""
COSTLY: Final = 40.0
"""Frames charged for a message that costs its own transaction (identity, layout, updates …)."""
VALUES_OF_A_FRAME: Final = 4000.0
"""Samples of a pack that are charged as one frame. A few kilobytes may hold a quarter of a million samples. Their validation takes 6 ms."""
STORED_BYTES: Final = 1024.0 * 1024 * 1024
"""Bytes of packs and layouts of one node that may be stored in about a day. A busy server sends 5 MB a day. A full spool of a
hundred hours has 64 MiB."""
STORED_BYTES_PER_S: Final = 16.0 * 1024
"""Rate at which the quota of stored bytes refills."""
HOUR_BYTES: Final = 1024.0
"""Bytes charged for each further hour that a pack covers, since each hour is stored separately. A pack of four kilobytes may cover 600
hours."""
OPENINGS: Final = 100.0
"""Sessions that a node may open without a pause. Each costs commits, and perhaps a log line, an event or an audit row."""
OPENINGS_PER_S: Final = 1 / 3
"""Rate at which the quota of openings refills."""
MAX_QUOTAS: Final = 10_000
QUOTA_LIFETIME_S: Final = 86_400.0
"""A quota unused for a day is full again, and is dropped from memory."""


class Quota:
    """Token buckets of a node: frames, bytes, stored bytes, and openings."""

    __slots__ = ("_bytes", "_frames", "_opened_at", "_openings", "_stored", "at", "throttled_s")

    def __init__(self, now: float) -> None:
        self.at = now
        """Monotonic time of the last message."""
        self._frames = FRAMES_PER_S * BURST_S
        self._bytes = BYTES_PER_S * BURST_S
        self._stored = STORED_BYTES
        self._openings = OPENINGS
        self._opened_at = now
        self.throttled_s = 0.0
        """Total seconds by which this node was delayed."""

    def open(self, now: float) -> float:
        """Charge the opening of a session.

        Returns: seconds until the node may try again; 0.0 (nearly always): accepted.
        """
        self._openings = min(self._openings + (now - self._opened_at) * OPENINGS_PER_S, OPENINGS)
        self._opened_at = now
        if self._openings < 1.0:
            return (1.0 - self._openings) / OPENINGS_PER_S
        self._openings -= 1.0
        return 0.0

    def give_back(self) -> None:
        """Refund an opening that another machine caused."""
        self._openings = min(self._openings + 1.0, OPENINGS)

    def store(self, size: int, rows: int = 1, reach_ms: int = 0) -> None:
        """Charge bytes to store, of `rows` rows that span `reach_ms`. A debt delays the next message."""
        if size:
            self._stored -= size + min(rows, reach_ms // HOUR_MS) * HOUR_BYTES

    def spend(self, now: float, frames: float, size: int) -> float:
        """Charge a received message.

        Args:    now: monotonic seconds; frames: frames to charge; size: bytes of the message.
        Returns: seconds to wait before the message is applied; 0.0 nearly always.
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
    """The quotas of all nodes. A reconnect does not reset a quota."""

    def __init__(self, most_quotas: int = MAX_QUOTAS) -> None:
        self._of: dict[NodeId, Quota] = {}
        self._most_quotas = most_quotas

    def of(self, node: NodeId, now: float) -> Quota:
        """The quota of this node."""
        if len(self._of) >= self._most_quotas:
            self._of = {one: quota for one, quota in self._of.items() if now - quota.at < QUOTA_LIFETIME_S}
        return self._of.setdefault(node, Quota(now))
