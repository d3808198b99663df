"""A bounded queue of one agent's job messages, kept until they are stored."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Final

from groundcontrol.agents.interfaces import JobMessage
from spider.wire.frames import JobOutput, JobProgress

MAX_WAITING: Final = 64
"""Messages in the queue. For output this is twice the window that a node may send ahead."""
JOIN_BYTES: Final = 128 * 1024
"""Bytes of output that are written in one transaction."""
MAX_JOBS: Final = 2048


class Inbox:
    """The queue. It merges adjacent output, and keeps only the newest progress of each job."""

    def __init__(self) -> None:
        self._messages: deque[JobMessage] = deque()
        self._something = asyncio.Event()
        self._room = asyncio.Event()
        self._closed = False
        self.progress: dict[str, JobProgress] = {}
        """Job -> its newest progress that is not stored yet."""
        self.own: set[str] = set()
        """Jobs known to belong to this node."""
        self.begun: set[str] = set()
        """Jobs known to be running or ended."""
        self.ends: dict[str, int] = {}
        """Job -> bytes of its output in the store."""

    async def put(self, message: JobMessage) -> None:
        """Queue a message; waits while the queue is full."""
        while len(self._messages) >= MAX_WAITING and not self._closed:
            self._room.clear()
            await self._room.wait()
        if isinstance(message, JobProgress) and len(self.progress) < MAX_JOBS:
            self.progress[message.job] = message
        else:
            self._messages.append(message)
        self._something.set()

    def close(self) -> None:
        """End the session's input. Queued messages are still processed."""
        self._closed = True
        self._something.set()
        self._room.set()

    async def get(self, timeout_s: float | None) -> JobMessage | None:
        """The next message, with directly following output merged into it. None: none within the time, or the inbox is closed."""
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
        """Drop a stored progress. A newer progress of the same job stays."""
        if self.progress.get(written.job) is written:
            del self.progress[written.job]

    @property
    def done(self) -> bool:
        """Whether the inbox is closed and empty."""
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
