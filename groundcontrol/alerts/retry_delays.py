"""When a message that failed for now is tried again. Pure."""

from __future__ import annotations

from typing import Final

RETRY_S: Final = (5.0, 15.0, 45.0, 120.0, 300.0, 600.0, 1800.0)
"""The waits between attempts; the last one repeats."""
LONGEST_RETRY_AFTER_S: Final = 3600.0
PROBING_AFTER: Final = 5
"""From so many failures in a row on, a channel gets one message at a time, and rests between them."""


def retry_delay_s(attempts: int, jitter: float, asked_s: float | None = None) -> float:
    """How long to wait after the attempt of this number (from 1 on).

    Args: jitter: 0 to 1, at random: messages that failed together are not tried together again. asked_s: the receiver's `Retry-After`.
    """
    if asked_s is not None:
        return min(max(asked_s, 1.0), LONGEST_RETRY_AFTER_S)
    wait_s = RETRY_S[min(max(attempts, 1), len(RETRY_S)) - 1]
    return wait_s * (0.5 + jitter / 2)


def rest_s(failures: int) -> float:
    """How long a channel rests after so many failures in a row; 0: not at all."""
    beyond = failures - PROBING_AFTER
    return 0.0 if beyond < 0 else RETRY_S[min(beyond + 1, len(RETRY_S) - 1)]
