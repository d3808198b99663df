"""`python -m groundcontrol` is the `stardust` command."""

from __future__ import annotations

import sys

from groundcontrol.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
