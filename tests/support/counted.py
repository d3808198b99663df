"""A hub that counts its own objects when it is told to (SIGUSR1): to be run as `python -m tests.support.counted serve …`."""

from __future__ import annotations

import collections
import gc
import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from tests.support.lightly_locked import main

OUTPUT = "STARDUST_TEST_COUNTS"
"""Names the file that the counts go to; it appears whole."""
BLOCKS = "blocks"
"""Allocated blocks of any type, those that the collector does not know (texts, numbers, bytes) included."""

COLLECT_AFTER, SWITCH_US = "collect after", "switch us"
"""How the interpreter is set up."""


def _count(path: Path) -> None:
    for _ in range(3):
        gc.collect()
    found = collections.Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
    found["threads"] = threading.active_count()
    found[BLOCKS] = sys.getallocatedblocks()
    found[COLLECT_AFTER], found[SWITCH_US] = gc.get_threshold()[0], round(sys.getswitchinterval() * 1e6)
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(found))
    partial.rename(path)


if __name__ == "__main__":
    target = Path(os.environ.pop(OUTPUT))

    def counted(_number: int, _frame: FrameType | None) -> None:
        _count(target)

    signal.signal(signal.SIGUSR1, counted)
    sys.exit(main())
