"""What one agent says about jobs, in order, until it is durably held."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Final

from groundcontrol.agents.interfaces import JobMessage
from spider.wire.frames import JobOutput, JobProgress

MAX_WAITING: Final = 64
"""Messages; of output that is twice the window a node may send ahead."""
JOIN_BYTES: Final = 128 * 1024
"""Output that is written in one transaction."""
MAX_JOBS: Final = 2048


class Inbox:
    """Bounded and ordered; output that follows on is joined, of progress only the newest counts."""

    def __init__(self) -> None:
        self._messages: deque[JobMessage] = deque()
        self._something = asyncio.Event()
        self._room = asyncio.Event()
        self._closed = False
        self.progress: dict[str, JobProgress] = {}
        """Not written yet."""
        self.own: set[str] = set()
        """Jobs known to be of this node."""
        self.begun: set[str] = set()
        """Jobs known to be running or further."""
        self.ends: dict[str, int] = {}
        """How much of a job's output is held."""

    async def put(self, message: JobMessage) -> None:
        """Take a message; waits while there are too many."""
        while len(self._messages) >= MAX_WAITING and not self._closed:
            self._room.clear()
            await self._room.wait()
        if isinstance(message, JobProgress) and len(self.progress) < MAX_JOBS:
            self.progress[message.job] = message
        else:
            self._messages.append(message)
        self._something.set()

    def close(self) -> None:
        """Nothing more comes; what is here is still worked off."""
        self._closed = True
        self._something.set()
        self._room.set()

    async def get(self, timeout_s: float | None) -> JobMessage | None:
        """The next message; output is joined with what follows on it. None: none within the time, or the inbox is closed."""
        if not self._messages and not self._closed:
            self._something.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._something.wait()
        if not self._messages:
            return None
        message = self._messages.popleft()
        if isinstance(message, JobOutput):
            message = self._joined(message)
        self._room.set()
        return message

    def forget(self, written: JobProgress) -> None:
        """This needs no writing any more; what was said of its job since stays."""
        if self.progress.get(written.job) is written:
            del self.progress[written.job]

    @property
    def done(self) -> bool:
        """Closed and worked off."""
        return self._closed and not self._messages

    def _joined(self, first: JobOutput) -> JobOutput:
        parts, end, size = [first.data], first.offset + len(first.data), len(first.data)
        while self._messages and size < JOIN_BYTES:
            follower = self._messages[0]
            if not isinstance(follower, JobOutput) or follower.job != first.job or follower.offset != end:
                break
            self._messages.popleft()
            parts.append(follower.data)
            end += len(follower.data)
            size += len(follower.data)
        return first if len(parts) == 1 else first._replace(data=b"".join(parts))
