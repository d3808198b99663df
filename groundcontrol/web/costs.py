"""Cost classes of calls, and how much of each class one user gets. Each row of the route table declares its class."""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator
from typing import Final, Literal, NamedTuple

from groundcontrol.core.errors import TooManyRequests
from groundcontrol.core.ids import UserId
from groundcontrol.web.concurrency import BudgetLimiter
from spider.clock import Clock

Cost = Literal["small", "page", "scan", "fleet", "many", "history"]
"""small: independent of the amount of data. page: a page of rows. scan: rows until enough match, or all rows of one request. fleet:
every node's newest values, every table or every running job. many: one request for many nodes or servers. history: samples of a time
range; its handlers limit values, exports and outputs themselves (`web/concurrency.py`).
"""


class Limit(NamedTuple):
    at_once: int
    """Concurrent calls of all users: fewer than the database's reading connections if each keeps one busy for long."""
    at_once_of_a_user: int
    waiting_of_a_user: int
    """Waiting calls of one user; further ones are refused immediately."""
    burst: int
    """Calls that a user may make without a pause."""
    a_second: float
    """Calls a second that a user may make after that."""


LIMITS: Final[dict[Cost, Limit]] = {
    "page": Limit(at_once=16, at_once_of_a_user=2, waiting_of_a_user=30, burst=600, a_second=20.0),
    "scan": Limit(at_once=2, at_once_of_a_user=1, waiting_of_a_user=32, burst=600, a_second=20.0),
    "fleet": Limit(at_once=2, at_once_of_a_user=1, waiting_of_a_user=16, burst=120, a_second=2.0),
    "many": Limit(at_once=2, at_once_of_a_user=1, waiting_of_a_user=16, burst=120, a_second=2.0),
}
PATIENCE_S: Final = 10.0
"""How long a call waits for a slot: less than the page's timeout of fifteen seconds."""


class Costs:
    """Slots for calls that are not free of cost, by class and user."""

    def __init__(self, clock: Clock, limits: dict[Cost, Limit] = LIMITS, patience_s: float = PATIENCE_S) -> None:
        self._rooms = {
            cost: BudgetLimiter(
                f"more of these calls ({cost}) are under way than this hub does at the same time; repeat later",
                limit.at_once, limit.at_once_of_a_user, patience_s, limit.waiting_of_a_user,
            )
            for cost, limit in limits.items()
        }  # fmt: skip
        self._budgets = {cost: _Budget(clock, limit.burst, limit.a_second) for cost, limit in limits.items()}

    @contextlib.asynccontextmanager
    async def take(self, cost: Cost, who: UserId | None) -> AsyncIterator[None]:
        """Hold a slot for one call; users take turns. `who`: None: the local socket, which has no budget.

        Raises: TooManyRequests: this user has made too many calls. Unavailable: no slot became free in time, or too many calls wait for
            one.
        """
        room = self._rooms.get(cost)
        if room is None:
            yield
            return
        if who is not None:
            self._budgets[cost].spend(who)
        async with room.take(who, 1):
            yield


class _Budget:
    """A token bucket for each user, refilled over time."""

    def __init__(self, clock: Clock, burst: int, a_second: float) -> None:
        self._clock = clock
        self._burst = burst
        self._a_second = a_second
        self._spent: dict[UserId, tuple[float, float]] = {}
        """The spent amount and its time. A user with a full bucket has no entry."""

    def spend(self, who: UserId) -> None:
        """Raises: TooManyRequests."""
        now = self._clock.monotonic()
        for user in [user for user in self._spent if not self._left(user, now)]:
            del self._spent[user]
        spent = self._left(who, now) + 1
        if spent > self._burst:
            wait_s = math.ceil((spent - self._burst) / self._a_second)
            raise TooManyRequests(f"this user has asked for this too often; repeat in {wait_s} seconds", retry_after_s=wait_s)
        self._spent[who] = spent, now

    def _left(self, who: UserId, now: float) -> float:
        spent, at = self._spent.get(who, (0.0, now))
        return max(0.0, spent - (now - at) * self._a_second)
