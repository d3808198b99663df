"""How many of what takes much memory go on at once: in all, and of one user, so that nobody takes it from the others."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Final

from groundcontrol.core.errors import Unavailable
from groundcontrol.core.ids import UserId

MAX_WAITING_OF_ONE: Final = 1000
"""Each costs some 30 kB while it waits. A page with a chart for each of sixty values asks for them all at once."""


class SlotLimiter:
    """So many places; who leaves gives the own one back."""

    def __init__(self, what: str, most: int, most_of_one: int) -> None:
        """`what` is what they are for, in the plural."""
        self._what = what
        self._most = most
        self._most_of_one = most_of_one
        self._taken: Counter[UserId | None] = Counter()

    @contextlib.contextmanager
    def take(self, who: UserId | None) -> Iterator[None]:
        """Hold one. `who`: None: whoever came through the local socket.

        Raises: Unavailable: there is none left.
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
            self._taken += Counter()  # those who have none are not remembered


class BudgetLimiter:
    """So much room; who finds too little of it waits for a while, and users have their turns one after the other."""

    def __init__(self, what: str, most: int, most_of_one: int, patience_s: float, most_waiting: int = MAX_WAITING_OF_ONE) -> None:
        """`what`: what is the matter where there is none, and what to do. `most_waiting`: how many of one may wait."""
        self._what = what
        self._most = most
        self._most_of_one = most_of_one
        self._patience_s = patience_s
        self._most_waiting = most_waiting
        self._taken: Counter[UserId | None] = Counter()
        self._waiting: dict[UserId | None, dict[asyncio.Future[None], int]] = {}
        """Who has been let in for the longest ago comes first."""

    @contextlib.asynccontextmanager
    async def take(self, who: UserId | None, size: int) -> AsyncIterator[None]:
        """Hold so much of it, no more than is for one. `who`: None: whoever came through the local socket.

        Raises: Unavailable: there was none for too long, or too much of this user waits for it already.
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
                return None  # nobody passes whose turn it is, or what is large would never be let in
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
        else:  # it was let in, be it at the moment in which it gave up
            self._taken[who] -= size
            self._taken += Counter()  # those who have none are not remembered
        self._let_in()
