"""The limit on nodes that a session or token may change without a fresh proof of the password; several small requests count as one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from spider.clock import Clock

MANY_NODES: Final = 10
"""A change of more nodes than this within WINDOW_S requires the password once more."""
WINDOW_S: Final = 15 * 60.0


class Portions:
    """Counts distinct nodes. There is no await between check and count, so concurrent requests cannot pass together."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed: dict[str, dict[str, float]] = {}
        """Session or token -> node -> when it last changed that node. At most MANY_NODES nodes each."""

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
            recent = {node: at for node, at in nodes.items() if now - at < WINDOW_S}
            if recent:
                self._changed[who] = recent
            else:
                del self._changed[who]
