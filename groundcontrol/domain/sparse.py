"""What somebody can cause as often as they like is written once a minute, with how many times it was left out."""

from __future__ import annotations

from typing import Final

EVERY_S: Final = 60.0
MOST_KEPT: Final = 4096
OTHERS: Final = ("", "")
"""Under this everything counts that comes while too much is remembered."""


class Sparse:
    """By kind and cause (an address, a node)."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], tuple[float, int]] = {}
        """When it was last written, and how many times it was left out since."""

    def left_out(self, kind: str, cause: str, now: float) -> int | None:
        """Note that it has happened. `now`: monotonic seconds.

        Returns: None: it need not be written; else how many times it was left out since it last was.
        """
        key = (kind, cause)
        if key not in self._since and len(self._since) >= MOST_KEPT:
            self._since = {one: kept for one, kept in self._since.items() if now - kept[0] < EVERY_S}
            if len(self._since) >= MOST_KEPT:
                key = OTHERS
        at, count = self._since.get(key, (now - EVERY_S, 0))
        if now - at < EVERY_S:
            self._since[key] = at, count + 1
            return None
        self._since[key] = now, 0
        return count
