"""Waits by polling for state that has no event of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

LIMIT_S = 120.0
"""Long enough for a busy machine: only a test that fails waits for so long."""
POLL_S = 0.02

T = TypeVar("T")
What = str | Callable[[], str]


def wait_until(read: Callable[[], T], limit_s: float = LIMIT_S, what: What = "", *, poll_s: float = POLL_S) -> T:
    """Read until the result is true, and return it.

    Args: what: describes a failure; a function is called only then.

    Raises: TimeoutError.
    """
    ends_at = time.monotonic() + limit_s
    while not (found := read()):
        if time.monotonic() > ends_at:
            raise _too_late(limit_s, what)
        time.sleep(poll_s)
    return found


async def eventually(read: Callable[[], T], limit_s: float = LIMIT_S, what: What = "") -> T:
    """As `wait_until`, for tests with an event loop. `read` runs in another thread, so it may block.

    Raises: TimeoutError.
    """
    ends_at = time.monotonic() + limit_s
    while not (found := await asyncio.to_thread(read)):
        if time.monotonic() > ends_at:
            raise _too_late(limit_s, what)
        await asyncio.sleep(POLL_S)
    return found


async def ask_until(ask: Callable[[], Awaitable[T]], limit_s: float = LIMIT_S, what: What = "", *, poll_s: float = POLL_S) -> T:
    """As `eventually`, for what has to be awaited.

    Raises: TimeoutError.
    """
    ends_at = time.monotonic() + limit_s
    while not (found := await ask()):
        if time.monotonic() > ends_at:
            raise _too_late(limit_s, what)
        await asyncio.sleep(poll_s)
    return found


def _too_late(limit_s: float, what: What) -> TimeoutError:
    return TimeoutError(f"not within {limit_s:g} s: {what if isinstance(what, str) else what()}")
