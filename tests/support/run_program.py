"""scripts/run with another hub and another Spider: `python -m tests.support.run_program HUB_MODULE BUNDLE STATE …`.

The hub of the tests derives its keys in one round, and the Spider of the tests queries no package manager. With the usual ones each
start takes seconds of processor time.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from scripts.dev import run

if __name__ == "__main__":
    hub_module, bundle = sys.argv.pop(1), Path(sys.argv.pop(1)).read_bytes()
    run.__dict__["read_bundle"] = lambda: bundle
    run.__dict__["Runner"] = partial(run.Runner, hub_module=hub_module)
    sys.exit(run.main())
