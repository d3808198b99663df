"""A hub whose wall clock a test sets while it runs: `python -m tests.e2e.jumping serve …`.

SIGUSR1 makes it read by how many seconds its clock is wrong from `DATA_DIR.clock`, also when it starts.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from groundcontrol import app
from spider.clock import SystemClock
from tests.support.lightly_locked import main


def clock_file(data_dir: Path) -> Path:
    """Where the seconds are written."""
    return data_dir.with_name(data_dir.name + ".clock")


class WrongClock(SystemClock):
    """The machine's clock, set to another time; the monotonic one goes on, as it does when a clock is set."""

    wrong_by_s = 0.0

    def now(self) -> float:
        return super().now() + WrongClock.wrong_by_s


def run(argv: list[str]) -> int:
    """Serve by a clock that can be set."""
    file = clock_file(Path(argv[argv.index("--data-dir") + 1]))

    def read(*_: object) -> None:
        if file.exists():
            WrongClock.wrong_by_s = float(file.read_text())
            file.unlink()

    read()
    signal.signal(signal.SIGUSR1, read)
    setattr(app, "SystemClock", WrongClock)  # noqa: B010  # the one place that chooses the clock; it is no public name of that module
    return main(argv)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
