"""A hub whose wall clock stands still: `python -m tests.support.standing serve …`. Intervals and deadlines go on."""

from __future__ import annotations

import sys

from groundcontrol import app
from spider.clock import SystemClock
from tests.support.lightly_locked import main
from tests.support.stage import FROZEN_AT


class StandingClock(SystemClock):
    """Always the same moment."""

    def now(self) -> float:
        return float(FROZEN_AT)


if __name__ == "__main__":
    setattr(app, "SystemClock", StandingClock)  # noqa: B010  # the one place that chooses the clock; it is no public name of that module
    sys.exit(main(sys.argv[1:]))
