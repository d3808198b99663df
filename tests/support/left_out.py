"""Which tests a run in CI may leave out: long ones that nobody asked for, and nothing else. What is missing there is a failure."""

from __future__ import annotations

SLOW = "slow: run with --slow"
"""Why a test with the marker `slow` is left out."""


def may_be_left_out(reason: str, *, unasked: bool) -> bool:
    """Whether CI lets a test be left out for this reason.

    Args: unasked: it has the marker `slow`, and this run was not asked for such tests. Who says so without it is not believed.
    """
    return unasked and reason == SLOW
