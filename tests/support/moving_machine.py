"""Comparisons with this machine, whose processes, mounts, interfaces and control groups other tests change meanwhile."""

from __future__ import annotations

import functools
import subprocess
import time
from collections.abc import Callable
from typing import Final

TRIES: Final = 5
APART_S: Final = 0.2
"""Long enough for a host that another test starts or ends to be there, or gone."""


def at_rest(compare: Callable[[], object]) -> None:
    """Compare, and again where something changed between the two looks. A fault of ours is there each time."""
    for _ in range(TRIES - 1):
        try:
            compare()
        except (AssertionError, LookupError, OSError, subprocess.CalledProcessError):  # what was there first is gone
            time.sleep(APART_S)
        else:
            return
    compare()


def compared_at_rest(test: Callable[[], None]) -> Callable[[], None]:
    """A test that is such a comparison as a whole."""

    @functools.wraps(test)
    def tried() -> None:
        at_rest(test)

    return tried
