"""Concurrency limits for work that takes much memory: in all, and for one user, so that no user starves the others."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Final

from groundcontrol.core.errors import Unavailable
from groundcontrol.core.ids import UserId

MAX_WAITING_OF_ONE: Final = 1000
"""Each waiting call costs some 30 kB. A page with a chart for each of sixty values requests them all at the same time."""


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
        """Hold a slot. `who`: None: the local socket.

        Raises: Unavailable: no slot is free.
        """
        if self._taken[who] >= self._most_of_one:
            raise Unavailable(f"{self._most_of_one} {self._what} of this user are under way already; try again later", retry_after_s=10)
        if self._taken.total() >= self._most:
            raise Unavailable(f"{self._most} {self._what} are under way already; try again later", retry_after_s=10)
        self._taken[who] += 1
        try:
            yield
        finally:
            self._taken[who] -= 1
            self._taken += Counter()  # removes users without a slot


class BudgetLimiter:
    """A shared budget. A call that finds too little of it waits for a while, and users take turns."""

    def __init__(self, what: str, most: int, most_of_one: int, patience_s: float, most_waiting: int = MAX_WAITING_OF_ONE) -> None:
        """`what`: the error text for an exhausted budget, with the remedy. `most_waiting`: how many calls of one user may wait."""
        self._what = what
        self._most = most
        self._most_of_one = most_of_one
        self._patience_s = patience_s
        self._most_waiting = most_waiting
        self._taken: Counter[UserId | None] = Counter()
        self._waiting: dict[UserId | None, dict[asyncio.Future[None], int]] = {}
        """Ordered by the time of the last admission, the longest ago first."""

    @contextlib.asynccontextmanager
    async def take(self, who: UserId | None, size: int) -> AsyncIterator[None]:
        """Hold `size` of the budget, at most one user's share. `who`: None: the local socket.

        Raises: Unavailable: the budget stayed exhausted for too long, or too many calls of this user wait already.
        """
        own = self._waiting.setdefault(who, {})
        if len(own) >= self._most_waiting:
            raise self._refused()
        turn = asyncio.get_running_loop().create_future()
        own[turn] = size
        try:
            self._let_in()
            await self._wait(turn)
            yield
        finally:
            self._leave(who, turn, size)

    async def _wait(self, turn: asyncio.Future[None]) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                await turn
        except TimeoutError:
            raise self._refused() from None

    def _refused(self) -> Unavailable:
        return Unavailable(self._what, retry_after_s=10)

    def _let_in(self) -> None:
        while (found := self._next()) is not None:
            who, turn = found
            self._taken[who] += self._forget(who, turn)
            own = self._waiting.pop(who, None)
            if own is not None:
                self._waiting[who] = own
            if not turn.done():
                turn.set_result(None)

    def _next(self) -> tuple[UserId | None, asyncio.Future[None]] | None:
        for who, own in self._waiting.items():
            turn, size = next(iter(own.items()))
            if self._taken[who] + size > self._most_of_one:
                continue
            if self._taken.total() + size > self._most:
                return None  # calls keep their order, or a large one would never be admitted
            return who, turn
        return None

    def _forget(self, who: UserId | None, turn: asyncio.Future[None]) -> int:
        own = self._waiting[who]
        size = own.pop(turn)
        if not own:
            del self._waiting[who]
        return size

    def _leave(self, who: UserId | None, turn: asyncio.Future[None], size: int) -> None:
        if turn in self._waiting.get(who, ()):
            self._forget(who, turn)
        else:  # it was admitted, perhaps at the moment of its cancellation
            self._taken[who] -= size
            self._taken += Counter()  # removes users without a share
        self._let_in()
