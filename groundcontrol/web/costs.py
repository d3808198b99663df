"""Limits how many calls of each kind run at the same time, in total and for each user, so that no user starves the others."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Final, Literal, NamedTuple

from groundcontrol.core.errors import TooManyRequests, Unavailable
from groundcontrol.core.ids import UserId
from spider.clock import Clock

MAX_WAITING_OF_ONE: Final = 1000
"""How many calls of one user may wait. Each costs some 30 kB. A page with sixty charts requests their values at the same time."""


class SlotLimiter:
    """A fixed number of slots; each is released at the end of its work."""

    def __init__(self, what: str, most: int, most_of_one: int) -> None:
        """`what` names the slots in error texts, in the plural."""
        self._what = what
        self._most = most
        self._most_of_one = most_of_one
        self._taken: Counter[UserId | None] = Counter()

    @contextlib.contextmanager
    def take(self, who: UserId | None) -> Iterator[None]:
        """Hold a slot until the context ends. `who`: the user, or None for a call through the hub's local socket.

        Raises: Unavailable: no slot is free, or this user has their share already.
        """
        if self._taken[who] >= self._most_of_one:
            raise Unavailable(f"{self._most_of_one} {self._what} of this user run already; try again later", retry_after_s=10)
        if self._taken.total() >= self._most:
            raise Unavailable(f"{self._most} {self._what} run already; try again later", retry_after_s=10)
        self._taken[who] += 1
        try:
            yield
        finally:
            self._taken[who] -= 1
            self._taken += Counter()  # removes users without a slot


class BudgetLimiter:
    """A shared budget. A call for which too little is left waits for a limited time. The waiting users take turns."""

    def __init__(self, refusal: str, most: int, most_of_one: int, patience_s: float, most_waiting: int = MAX_WAITING_OF_ONE) -> None:
        """`refusal`: the error text for an exhausted budget. `most_waiting`: how many calls of one user may wait."""
        self._refusal = refusal
        self._most = most
        self._most_of_one = most_of_one
        self._patience_s = patience_s
        self._most_waiting = most_waiting
        self._taken: Counter[UserId | None] = Counter()
        self._waiting: dict[UserId | None, dict[asyncio.Future[None], int]] = {}
        """User -> (waiting call -> its size), the oldest call first. Users in the order of their last admission, or of their first
        waiting call if that is later."""

    @contextlib.asynccontextmanager
    async def take(self, who: UserId | None, size: int) -> AsyncIterator[bool]:
        """Hold `size` of the budget until the context ends. Yields whether the call has waited.

        Args:   who: the user; None for the caller on the local socket. size: a size above `most_of_one` is never admitted.
        Raises: Unavailable: the budget stayed exhausted for too long, or too many calls of this user wait already.
        """
        own = self._waiting.setdefault(who, {})
        if len(own) >= self._most_waiting:
            raise self._refused()
        turn = asyncio.get_running_loop().create_future()
        own[turn] = size
        try:
            self._let_in()
            waits = not turn.done()
            await self._wait(turn)
            yield waits
        finally:
            self._leave(who, turn, size)

    async def _wait(self, turn: asyncio.Future[None]) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                await turn
        except TimeoutError:
            raise self._refused() from None

    def _refused(self) -> Unavailable:
        return Unavailable(self._refusal, retry_after_s=10)

    def _let_in(self) -> None:
        while (found := self._next_that_fits()) is not None:
            who, turn = found
            self._taken[who] += self._stop_waiting(who, turn)
            own = self._waiting.pop(who, None)
            if own is not None:
                self._waiting[who] = own
            if not turn.done():
                turn.set_result(None)

    def _next_that_fits(self) -> tuple[UserId | None, asyncio.Future[None]] | None:
        for who, own in self._waiting.items():
            turn, size = next(iter(own.items()))
            if self._taken[who] + size > self._most_of_one:
                continue
            if self._taken.total() + size > self._most:
                return None  # calls keep their order, or a large one would never be admitted
            return who, turn
        return None

    def _stop_waiting(self, who: UserId | None, turn: asyncio.Future[None]) -> int:
        """Remove a call from those that wait. Returns its size."""
        own = self._waiting[who]
        size = own.pop(turn)
        if not own:
            del self._waiting[who]
        return size

    def _leave(self, who: UserId | None, turn: asyncio.Future[None], size: int) -> None:
        if turn in self._waiting.get(who, ()):
            self._stop_waiting(who, turn)
        else:  # it was admitted, perhaps at the moment of its cancellation
            self._taken[who] -= size
            self._taken += Counter()  # removes users without a share
        self._let_in()


MOST_CHANGES: Final = 1000
"""How many audited calls a user may make at once."""
CHANGES_PER_S: Final = 2.0
"""How many more in each second after that."""


class RateLimiter:
    """Limits the calls of each user over time: `burst` calls without a pause, then `a_second` calls a second."""

    def __init__(self, clock: Clock, refusal: str, burst: float, a_second: float) -> None:
        """`refusal`: the error text."""
        self._clock = clock
        self._refusal = refusal
        self._burst = burst
        self._a_second = a_second
        self._spent: dict[UserId, tuple[float, float]] = {}
        """User -> (spent calls, monotonic time of that count). Over time the count falls; a user whose count is 0 has no entry."""

    def spend(self, who: UserId | None) -> None:
        """Count one call. `who`: None: the caller on the local socket, who owns the data folder and has no limit.

        Raises: TooManyRequests: this user has made too many calls.
        """
        if who is None:
            return
        now = self._clock.monotonic()
        for user in [user for user in self._spent if not self._still_spent(user, now)]:
            del self._spent[user]
        spent = self._still_spent(who, now) + 1
        if spent > self._burst:
            wait_s = math.ceil((spent - self._burst) / self._a_second)
            raise TooManyRequests(self._refusal.format(wait_s=wait_s), retry_after_s=wait_s)
        self._spent[who] = spent, now

    def _still_spent(self, who: UserId, now: float) -> float:
        spent, at = self._spent.get(who, (0.0, now))
        return max(0.0, spent - (now - at) * self._a_second)


class ChangeLimiter(RateLimiter):
    """Limits the calls of each user that write to the audit log, which nobody can shorten."""

    def __init__(self, clock: Clock, burst: float = MOST_CHANGES, a_second: float = CHANGES_PER_S) -> None:
        super().__init__(clock, f"{burst:.0f} changes of this user came in a short time: try again later", burst, a_second)


Cost = Literal["small", "page", "scan", "fleet", "many", "history"]
"""How much a call reads or does.

small: the same, however much data is stored. page: one page of rows. scan: rows until enough of them match, or all rows that belong to
one object. fleet: every node's newest values, every table or every running job. many: work for many nodes or servers. history: samples of
a time range, or stored output. The handlers of `history` use the limiters above themselves.
"""


class Limit(NamedTuple):
    at_once: int
    """Concurrent calls of all users. The database has few reading connections: the limits of the slow classes together must leave one free."""
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
_TOO_MANY: Final = "this user has made too many of these calls; repeat in {wait_s} seconds"
PATIENCE_S: Final = 10.0
"""How long a call waits for a slot. The page waits fifteen seconds for an answer."""


class Costs:
    """Limits the calls of each cost class that has a row in `LIMITS`, in total and for one user."""

    def __init__(self, clock: Clock, limits: dict[Cost, Limit] = LIMITS, patience_s: float = PATIENCE_S) -> None:
        self._limiters = {
            cost: BudgetLimiter(
                f"too many of these calls ({cost}) run at the same time; repeat later",
                limit.at_once, limit.at_once_of_a_user, patience_s, limit.waiting_of_a_user,
            )
            for cost, limit in limits.items()
        }  # fmt: skip
        self._rates = {cost: RateLimiter(clock, _TOO_MANY, limit.burst, limit.a_second) for cost, limit in limits.items()}

    @contextlib.asynccontextmanager
    async def take(self, cost: Cost, who: UserId | None) -> AsyncIterator[bool]:
        """Hold a slot for one call until the context ends. Yields whether the call has waited.

        Args:   who: the user; None for the caller on the local socket, who has no limit of calls a second.
        Raises: TooManyRequests: this user has made too many calls. Unavailable: no slot became free in time, or too many calls wait.
        """
        limiter = self._limiters.get(cost)
        if limiter is None:
            yield False
            return
        self._rates[cost].spend(who)
        async with limiter.take(who, 1) as waited:
            yield waited
