"""Limits how many nodes a session or token may change without a fresh proof of the password, in one request or in many."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from spider.clock import Clock

MANY_NODES: Final = 10
"""Changing more nodes than this within WINDOW_S requires the password once more."""
WINDOW_S: Final = 15 * 60.0


class ChangeLimit:
    """Counts the distinct nodes that each session or token changes. `take` does not await, so concurrent requests cannot both pass."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed: dict[str, dict[str, float]] = {}
        """Session or token -> node -> the monotonic time of its last change. Each has at most MANY_NODES nodes."""

    def take(self, holder: str, nodes: Collection[str]) -> bool:
        """Count these nodes for a session or token, unless the limit would be exceeded.

        Returns: whether these nodes may be changed without a fresh proof of the password.
        """
        now = self._clock.monotonic()
        self._forget(now)
        changed = self._changed.get(holder, {}) | dict.fromkeys(nodes, now)
        if len(changed) > MANY_NODES:
            return False
        self._changed[holder] = changed
        return True

    def _forget(self, now: float) -> None:
        for holder, nodes in list(self._changed.items()):
            recent = {node: at for node, at in nodes.items() if now - at < WINDOW_S}
            if recent:
                self._changed[holder] = recent
            else:
                del self._changed[holder]
