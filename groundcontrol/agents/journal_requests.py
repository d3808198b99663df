"""Requests for lines of a node's journal on its session: each waits for one answer, and nothing is stored."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Final

from groundcontrol.agents.validation import LATEST_MS
from groundcontrol.core.errors import NodeOffline, Unavailable
from groundcontrol.core.text import clean, visible
from groundcontrol.nodes.model import LogLine, UnitLines
from spider.wire.errors import ProtocolError
from spider.wire.report_messages import MAX_JOURNAL_LINES, JournalAnswer, JournalRequest

ANSWER_LIMIT_S: Final = 25.0
"""The node gives journalctl 10 s, twice if there are no lines."""
MAX_OPEN: Final = 4
"""Open requests of one node; it reads one at a time."""
MAX_TEXT: Final = 2000
MAX_WHY: Final = 300
MAX_LEFT_OUT: Final = 1_000_000


class JournalRequests:
    """The open requests of one session."""

    def __init__(self, send: Callable[[JournalRequest], Awaitable[None]]) -> None:
        self._send = send
        self._numbers = itertools.count(1)
        self._open: dict[int, asyncio.Future[UnitLines]] = {}

    async def read(self, unit: str, lines: int, level: str) -> UnitLines:
        """The last lines of a unit's journal. level: warning or all.

        Raises: Unavailable: too many requests are open. NodeOffline: the session ended, or no answer came in time.
        """
        if len(self._open) >= MAX_OPEN:
            raise Unavailable("the node reads its journal for other requests: try again in some seconds", retry_after_s=5)
        number = next(self._numbers)
        answer: asyncio.Future[UnitLines] = asyncio.get_running_loop().create_future()
        self._open[number] = answer
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                await self._send(JournalRequest(number, unit, lines, level))
                return await answer
        except TimeoutError:
            raise NodeOffline(f"the node has not sent its journal within {ANSWER_LIMIT_S:.0f} s") from None
        finally:
            del self._open[number]

    def answered(self, message: JournalAnswer) -> None:
        """Pass an answer to its request. An answer that nobody waits for any more is dropped.

        Raises: ProtocolError.
        """
        lines = read_answer(message)
        waiting = self._open.get(message.request)
        if waiting is not None and not waiting.done():
            waiting.set_result(lines)

    def close(self) -> None:
        """Fail all open requests, since the session is over."""
        for waiting in self._open.values():
            if not waiting.done():
                waiting.set_exception(NodeOffline("the node's connection ended before it had sent its journal"))


def read_answer(message: JournalAnswer) -> UnitLines:
    """Decode an answer. Raises: ProtocolError."""
    count = len(message.at_ms)
    if count > MAX_JOURNAL_LINES or not len(message.priorities) == len(message.texts) == count:
        raise ProtocolError("lines of a journal that do not match")
    if (
        not 0 <= message.left_out <= MAX_LEFT_OUT
        or not all(0 <= at_ms <= LATEST_MS for at_ms in message.at_ms)
        or not all(0 <= priority <= 7 for priority in message.priorities)
    ):
        raise ProtocolError("lines of a journal with impossible numbers")
    parts = zip(message.at_ms, message.priorities, message.texts, strict=True)
    lines = tuple(LogLine(at_ms, priority, "", visible(text, MAX_TEXT)) for at_ms, priority, text in parts)
    return UnitLines(clean(message.refused, 32), clean(message.text, MAX_WHY), message.left_out, lines)
