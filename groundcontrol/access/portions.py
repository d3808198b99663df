"""What is asked in portions counts as one: how many nodes a session or a token has changed without a fresh proof."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from spider.clock import Clock

MANY_NODES: Final = 10
"""To change more of them within WINDOW_S wants the password once more."""
WINDOW_S: Final = 15 * 60.0


class Portions:
    """Counts distinct nodes. Nothing is awaited between the check and the count, so requests at the same time do not pass together."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed: dict[str, dict[str, float]] = {}
        """By session or token: when it last changed a node. At most MANY_NODES each."""

    def take(self, who: str, nodes: Collection[str]) -> bool:
        """Count these nodes, unless they are too many.

        Returns: whether they may be changed without a fresh proof.
        """
        now = self._clock.monotonic()
        self._forget(now)
        changed = self._changed.get(who, {}) | dict.fromkeys(nodes, now)
        if len(changed) > MANY_NODES:
            return False
        self._changed[who] = changed
        return True

    def _forget(self, now: float) -> None:
        for who, nodes in list(self._changed.items()):
            kept = {node: at for node, at in nodes.items() if now - at < WINDOW_S}
            if kept:
                self._changed[who] = kept
            else:
                del self._changed[who]
