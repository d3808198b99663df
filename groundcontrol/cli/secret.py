"""`stardust secret new`: a secret for a new hub, or for `stardust rotate-secret`."""

from __future__ import annotations

import argparse
import base64
import json
import os


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    acts.add_parser("new", help="print a new secret (32 random bytes as base64) and nothing else")


async def run(args: argparse.Namespace) -> int:
    """Print it; it is kept nowhere."""
    secret = base64.b64encode(os.urandom(32)).decode()
    print(json.dumps({"secret": secret}) if args.json else secret)
    return 0
