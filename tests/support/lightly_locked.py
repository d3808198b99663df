"""A hub whose keyring is made with as few rounds as a hub accepts: `python -m tests.support.lightly_locked serve …`.

The rounds stand in the keyring, so each later start takes them from there, as of any hub. At their usual number the key of the secret is
two thirds of the processor that a start takes, and a run of the tests has hundreds of starts.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

from groundcontrol import app
from groundcontrol.cli import main as cli
from groundcontrol.vault import LEAST_ROUNDS, open_vault


def main(argv: Sequence[str] | None = None) -> int:
    """The `stardust` command, for `serve`."""
    setattr(app, "open_vault", partial(open_vault, rounds=LEAST_ROUNDS))  # noqa: B010  # it is no public name of that module
    return cli.main(argv)


if __name__ == "__main__":
    sys.exit(main())
