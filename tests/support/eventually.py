"""Waits by polling for state that has no event of its own.

Each look takes processor time from what is waited for, so the longer a wait lasts, the rarer its looks are.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

LIMIT_S = 120.0
"""Long enough for a busy machine: only a test that fails waits for so long."""
POLL_S, RAREST_S = 0.02, 0.25
"""The first pause between two looks, and the longest."""
SHARE = 0.1
"""A pause is this part of the time already waited: so much longer may a wait become."""

T = TypeVar("T")
What = str | Callable[[], str]


def wait_until(read: Callable[[], T], limit_s: float = LIMIT_S, what: What = "", *, poll_s: float = POLL_S) -> T:
    """Read until the result is true, and return it.

    Args: what: describes a failure; a function is called only then.

    Raises: TimeoutError.
    """
    began_at = time.monotonic()
    while not (found := read()):
        time.sleep(_pause_s(began_at, limit_s, what, poll_s))
    return found


async def eventually(read: Callable[[], T], limit_s: float = LIMIT_S, what: What = "") -> T:
    """As `wait_until`, for tests with an event loop. `read` runs in another thread, so it may block.

    Raises: TimeoutError.
    """
    began_at = time.monotonic()
    while not (found := await asyncio.to_thread(read)):  # noqa: ASYNC110  # what is waited for has no event
        await asyncio.sleep(_pause_s(began_at, limit_s, what))
    return found


async def ask_until(ask: Callable[[], Awaitable[T]], limit_s: float = LIMIT_S, what: What = "", *, poll_s: float = POLL_S) -> T:
    """As `eventually`, for what has to be awaited.

    Raises: TimeoutError.
    """
    began_at = time.monotonic()
    while not (found := await ask()):  # noqa: ASYNC110  # nor has this
        await asyncio.sleep(_pause_s(began_at, limit_s, what, poll_s))
    return found


def _pause_s(began_at: float, limit_s: float, what: What, poll_s: float = POLL_S) -> float:
    """The pause after a look that found nothing. Raises: TimeoutError: the wait has lasted for more than `limit_s`."""
    waited_s = time.monotonic() - began_at
    if waited_s > limit_s:
        raise TimeoutError(f"not within {limit_s:g} s: {what if isinstance(what, str) else what()}")
    return max(poll_s, min(SHARE * waited_s, RAREST_S))
