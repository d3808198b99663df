"""Computes how long to wait before the next connection attempt. Pure: the end of a session goes in, seconds come out."""

import random
from typing import Optional

from spider.wire.frames import CLOSE_CLONE, CLOSE_GOING_AWAY, CLOSE_HOST, CLOSE_UNKNOWN

BASE_S = 1.0
CAP_S = 60.0
HEALTHY_S = 60.0
"""A session that lasted this long resets the count of failures."""
RETURN_S = 60.0
RETURN_LEAST_S = 3.0
RETURN_CAP_S = 5.0
"""Most hubs that go away are back within a minute. So for `RETURN_S` after a session of at least `HEALTHY_S`, random waits stay between
`RETURN_LEAST_S` and `RETURN_CAP_S`. Only the first waits may be shorter."""
LEAST_INTERVAL_S = 1.0
"""Shortest time between the starts of two attempts."""
NOT_MINE_S = 600.0
CLONE_S = 300.0
LONGEST_S = 600.0
_STRANGE = {CLOSE_UNKNOWN: NOT_MINE_S, CLOSE_HOST: NOT_MINE_S, CLOSE_CLONE: CLONE_S}


class Backoff:
    """Full jitter over a doubling limit, so that the nodes of a fleet do not all reconnect at the same time."""

    def __init__(self, dice: Optional[random.Random] = None) -> None:
        self._dice = dice or random.Random()
        self._failures = 0
        self._away_s = RETURN_S
        """Time since the last session of at least `HEALTHY_S`. It starts at `RETURN_S`, so before such a session the usual limit applies."""

    def after(self, attempt_s: float, healthy_s: float, code: int = 0, reason: str = "", retry_after_s: Optional[float] = None) -> float:
        """Seconds to wait now.

        Args:
            attempt_s: seconds since the attempt began. healthy_s: how long its session was up, in seconds.
            code, reason: the hub's close code and reason; 0 and empty: none. retry_after_s: the hub's Retry-After; None: it sent none.
        """
        if healthy_s >= HEALTHY_S:
            self._failures = 0
            self._away_s = 0.0
        else:
            self._away_s += attempt_s
        wait = self._wait(attempt_s, code, reason, retry_after_s)
        self._away_s += wait
        return wait

    def _wait(self, attempt_s: float, code: int, reason: str, retry_after_s: Optional[float]) -> float:
        least, limit = 0.0, min(CAP_S, BASE_S * 2.0 ** min(self._failures, 16))
        if limit > RETURN_CAP_S and self._away_s < RETURN_S:  # `_failures` rises no further in this minute
            least, limit = RETURN_LEAST_S, RETURN_CAP_S  # the first waits have spread the fleet; shorter waits would double its attempts
        else:
            self._failures += 1
        if code in _STRANGE:
            return _STRANGE[code]
        if code == CLOSE_GOING_AWAY and reason.isascii() and reason.isdigit() and len(reason) <= 9:
            wait = self._dice.uniform(0, min(int(reason) / 1000, LONGEST_S))
        else:
            wait = self._dice.uniform(least, limit)
        if retry_after_s is not None:
            wait = min(retry_after_s, LONGEST_S) + self._dice.uniform(0, limit)
        return max(wait, LEAST_INTERVAL_S - attempt_s)
