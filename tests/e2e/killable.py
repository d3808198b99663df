"""A hub that ends itself at a place that a test chooses while it runs: `python -m tests.e2e.killable serve …`.

SIGUSR1 arms the place that stands in `DATA_DIR.arm`; the file goes when it is armed.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from groundcontrol import failpoints
from tests.support.lightly_locked import main


def arm_file(data_dir: Path) -> Path:
    """Where the place is written: name and count."""
    return data_dir.with_name(data_dir.name + ".arm")


def run(argv: list[str]) -> int:
    """Serve, ready to be armed."""
    file = arm_file(Path(argv[argv.index("--data-dir") + 1]))

    def arm(*_: object) -> None:
        name, after = file.read_text().split()
        failpoints.arm(name, int(after))
        file.unlink()

    signal.signal(signal.SIGUSR1, arm)
    return main(argv)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
