"""The waits between attempts to send a message, and the pauses of a channel that fails. Pure."""

from __future__ import annotations

from typing import Final

RETRY_S: Final = (5.0, 15.0, 45.0, 120.0, 300.0, 600.0, 1800.0)
"""The waits between attempts, in order. The last one repeats."""
LONGEST_RETRY_AFTER_S: Final = 3600.0
BROKEN_PROBE_S: Final = 300.0
"""The shortest wait between two messages to a broken channel."""
PROBING_AFTER: Final = 5
"""After so many failures in a row a channel gets one message at a time, with pauses between them."""


def retry_delay_s(attempts: int, jitter: float, asked_s: float | None = None) -> float:
    """How many seconds to wait before the next attempt.

    Args: attempts: how many attempts were made. asked_s: the receiver's `Retry-After`; None: it sent none.
          jitter: a random number from 0 to 1, so that messages that failed together are not tried together again.
    """
    if asked_s is not None:
        return min(max(asked_s, 1.0), LONGEST_RETRY_AFTER_S)
    wait_s = RETRY_S[min(max(attempts, 1), len(RETRY_S)) - 1]
    return wait_s * (0.5 + jitter / 2)


def refused_pause_s(failures: int, *, is_wrong: bool, is_broken: bool) -> float:
    """How many seconds a channel sends nothing after its receiver refused a message.

    Args: failures: the number of failures in a row. is_wrong: its target cannot be right. is_broken: the channel is broken.
    """
    if is_wrong:
        return RETRY_S[-1]
    wait_s = RETRY_S[min(failures, len(RETRY_S)) - 1]
    return max(wait_s, BROKEN_PROBE_S) if is_broken else wait_s


def channel_pause_s(failures: int) -> float:
    """How many seconds a channel sends nothing after this number of failures in a row; 0: it does not pause."""
    beyond = failures - PROBING_AFTER
    return 0.0 if beyond < 0 else RETRY_S[min(beyond + 1, len(RETRY_S) - 1)]
