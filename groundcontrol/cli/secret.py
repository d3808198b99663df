"""`stardust secret new`: makes a secret for a new hub, or for `stardust rotate-secret`."""

from __future__ import annotations

import argparse
import base64
import json
import os

from groundcontrol.cli.options import add_act, add_acts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_act(add_acts(parser), "new", help="print a new secret (32 random bytes as base64) and nothing else", hub=False)


async def run(args: argparse.Namespace) -> int:
    """Print a new secret. It is not stored."""
    secret = new_secret()
    print(json.dumps({"secret": secret}) if args.json else secret)
    return 0


def new_secret() -> str:
    """32 random bytes as base64."""
    return base64.b64encode(os.urandom(32)).decode()
