"""scripts/run with another bundle of Spider: `python -m tests.support.run_program BUNDLE STATE …`.

The bundle of the tests queries no package manager, which takes seconds of processor time at each start.
"""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.dev import run

if __name__ == "__main__":
    bundle = Path(sys.argv.pop(1)).read_bytes()
    run.__dict__["read_bundle"] = lambda: bundle
    sys.exit(run.main())
