"""How much one node may say: what is over waits, and only the node that said it."""

from __future__ import annotations

from typing import Final

FRAMES_PER_S: Final = 800.0
BYTES_PER_S: Final = 24.0 * 1024 * 1024
"""Above the 10 MB/s of job output that a node may stream."""
BURST_S: Final = 2.0
"""A node that was quiet may say this many seconds' worth at once."""
COSTLY: Final = 40.0
"""Frames that a message counts for when it costs a transaction of its own (identity, layout, updates …)."""
VALUES_OF_A_FRAME: Final = 4000.0
"""Samples of a pack that count for as much as a frame: a few kilobytes may hold a quarter of a million, which take 6 ms to be checked."""


class Quota:
    """Two token buckets: frames and bytes."""

    __slots__ = ("_at", "_bytes", "_frames", "throttled_s")

    def __init__(self, now: float) -> None:
        self._at = now
        self._frames = FRAMES_PER_S * BURST_S
        self._bytes = BYTES_PER_S * BURST_S
        self.throttled_s = 0.0
        """How long this node was made to wait, in all."""

    def spend(self, now: float, frames: float, size: int) -> float:
        """Count something that came.

        Args:    now: monotonic seconds; frames: what it counts for; size: its bytes.
        Returns: seconds to wait before anything more is read of this node; 0.0 nearly always.
        """
        passed = now - self._at
        self._at = now
        self._frames = min(self._frames + passed * FRAMES_PER_S, FRAMES_PER_S * BURST_S) - frames
        self._bytes = min(self._bytes + passed * BYTES_PER_S, BYTES_PER_S * BURST_S) - size
        if self._frames >= 0 and self._bytes >= 0:
            return 0.0
        wait_s = max(-self._frames / FRAMES_PER_S, -self._bytes / BYTES_PER_S)
        self.throttled_s += wait_s
        return wait_s
